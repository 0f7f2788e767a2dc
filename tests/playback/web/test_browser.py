"""The page in a real browser, on a run of a stand-in for the model over the packaged clip."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import FakeModel
from tests.paths import CLIP
from tests.playback.web import browser
from tests.playback.web.browser import Browser
from veca_edge.camera.sources import open_source
from veca_edge.gallery.gallery import Gallery
from veca_edge.playback.player import Player
from veca_edge.playback.request import RunRequest
from veca_edge.playback.teaching import Teaching
from veca_edge.playback.viewer import ViewState
from veca_edge.playback.views import views_for
from veca_edge.playback.web.address import Address
from veca_edge.playback.web.server import WebView
from veca_edge.playback.web.status import Choices

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browser.find() is None, reason="there is no Chromium here (Debian: apt install chromium)"),
]
BUDGETS = FakeModel.budgets
LIVE = "document.getElementById('phase').textContent === 'live' && document.getElementById('card').hidden"


class Run:
    """The clip over and over with a page, in a thread."""

    def __init__(self, token: str | None = None, teaching: Teaching | None = None, **options: Any) -> None:
        self.web = WebView(Address("127.0.0.1", 0), token)
        self.model = FakeModel()
        source = open_source(str(CLIP), loop="frames" not in options)
        self.state = ViewState(64, BUDGETS, teaches=teaching is not None)
        request = RunRequest(**options)
        self.player = Player(self.model, source, self.state, request, remote=self.web.board, teaching=teaching)
        self._thread = threading.Thread(target=self._play)

    def __enter__(self) -> Run:
        self.web.__enter__()
        facts = ("<b>fake</b>", "clip.mp4", BUDGETS, False, False, views_for(()))
        self.web.board.begin(Choices(*facts, teaches=self.state.teaches))
        self._thread.start()
        return self

    def _play(self) -> None:
        summary = self.player.run()
        self.web.board.end("", summary.to_dict())

    def finish(self) -> None:
        """End it, and the server with it."""
        self.player.stop("quit")
        self._thread.join()
        self.web.__exit__(None, None, None)

    def __exit__(self, *_: object) -> None:
        self.finish()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    opened: list[Browser] = []

    def make(**more: Any) -> Browser:
        opened.append(Browser(tmp_path / f"profile-{len(opened)}", **more).__enter__())
        return opened[-1]

    yield make
    for each in opened:
        each.__exit__(None, None, None)


def text(view: Browser, name: str) -> str:
    return str(view.run(f"document.getElementById({name!r}).textContent"))


def test_picture_numbers_and_controls(page: Any, tmp_path: Path) -> None:
    with Run() as run:
        view = page()
        view.open(run.web.url)
        view.wait(LIVE)
        view.wait("document.getElementById('picture').naturalWidth === 640")  # the numbers may come first
        assert text(view, "model") == "<b>fake</b>"  # text, not markup
        assert (text(view, "cores"), text(view, "latency"), text(view, "patches")) == ("64", "10.0", "16")
        view.wait("document.querySelectorAll('#latency-curve path').length === 2")
        before = view.run("document.getElementById('picture').src")
        view.wait(f"document.getElementById('picture').src !== {before!r}")  # it moves

        view.run("document.querySelector('input[name=cores][value=\"8\"]').click()")
        view.wait("document.getElementById('cores').textContent === '8'")
        view.wait("document.getElementById('said').textContent.length > 0")
        view.screenshot(tmp_path / "page.png")
        head = (tmp_path / "page.png").read_bytes()[:24]
        assert struct.unpack(">II", head[16:24]) == (1280, 800)
        assert view.run("document.documentElement.scrollWidth") == 1280
        assert view.complaints() == []
        hosts = {url.split("/")[2] for url in view.requested() if url.startswith("http")}
        assert hosts == {run.web.url.split("/")[2]}  # nothing from elsewhere


def test_by_keyboard(page: Any) -> None:
    with Run() as run:
        view = page()
        view.open(run.web.url)
        view.wait(LIVE)
        view.press("-")
        view.wait("document.getElementById('cores').textContent === '32'")
        view.press("v")
        view.wait("document.querySelector('input[name=view]:checked').value === 'features'")
        view.press(" ")
        view.wait("document.getElementById('phase').textContent === 'paused'")
        view.wait("document.getElementById('pause').textContent === 'Resume'")
        assert "paused" in text(view, "said")
        seen = []
        for _ in range(4):
            view.press("Tab")
            seen.append(view.run("document.activeElement.id || document.activeElement.name"))
        assert seen == ["cores", "view", "pause", "snapshot"]
        assert run.model.calls[-1] == 32


def test_teaching(page: Any, tmp_path: Path) -> None:
    """By click, by key, by name; what is wrong is shown; names are text."""
    teaching = Teaching(tmp_path / "my-things.npz", Gallery())
    with Run(teaching=teaching) as run:
        view = page()
        view.open(run.web.url)
        view.wait(LIVE)
        view.wait("!document.getElementById('teach').hidden")
        view.run("document.querySelector('#places .add').click()")
        view.wait("document.getElementById('taught').textContent === 'thing 1: 1 example'")
        view.wait("document.querySelectorAll('#places li').length === 2")  # and the next one that is free
        field = "document.querySelector('#places input')"
        view.run(f"{field}.focus(); {field}.select(); 1")
        for key in "3u <b>mug</b>":  # keys that do something elsewhere
            view.press(key)
        view.press("Enter")
        view.wait("document.getElementById('taught').textContent === 'thing 1 is now 3u <b>mug</b>'")
        view.wait(f"{field}.value === '3u <b>mug</b>' && document.activeElement === document.body")
        assert view.run("document.querySelectorAll('#places b').length") == 2  # the counts, and no markup of a name
        view.press("5")
        view.wait("document.getElementById('taught').textContent === 'thing 5: 1 example'")
        assert dict(Gallery.load(teaching.path).labels) == {"3u <b>mug</b>": 1, "thing 5": 1}
        view.screenshot(tmp_path / "teach.png")
        assert view.run("document.documentElement.scrollWidth") == 1280

        change = f"{field}.dispatchEvent(new Event('change'))"
        view.run(f"{field}.value = 'x'.repeat(10000); {change}")
        view.wait("document.getElementById('taught').textContent.includes('is 10000 characters long')")
        view.run(f"{field}.value = 'thing 2'; {change}")
        view.wait("document.getElementById('taught').textContent.includes('name of something else already')")
        view.press("u")
        view.wait("document.getElementById('taught').textContent === 'undone (thing 5: 1 example)'")
        view.run("document.querySelector('#places .remove').click()")
        view.wait("document.getElementById('taught').textContent === 'removed 3u <b>mug</b>, 1 example'")
        view.run("document.getElementById('undo').click()")
        view.wait("document.getElementById('taught').textContent.startsWith('undone (removed')")
        assert dict(Gallery.load(teaching.path).labels) == {"3u <b>mug</b>": 1}
        assert view.complaints() == []


def test_nothing_to_teach_without_a_gallery(page: Any) -> None:
    with Run() as run:
        view = page()
        view.open(run.web.url)
        view.wait(LIVE)
        assert view.run("document.getElementById('teach').hidden")
        view.press("1")
        assert text(view, "taught") == ""


def test_on_a_phone(page: Any, tmp_path: Path) -> None:
    with Run(teaching=Teaching(tmp_path / "my-things.npz", Gallery())) as run:
        view = page(width=360, height=740, phone=True)
        view.open(run.web.url)
        view.wait(LIVE)
        view.wait("document.querySelector('#places li') !== null")
        assert view.run("document.documentElement.scrollWidth") == 360
        heights = view.run(
            "[...document.querySelectorAll('.buttons button, .choice label, #teach button')]"
            ".map((each) => each.offsetHeight)"
        )
        assert min(heights) >= 40  # a finger's width


def test_token(page: Any) -> None:
    with Run("a-token-for-the-tests") as run:
        view = page()
        view.open(run.web.url.partition("#")[0])
        view.wait("document.getElementById('phase').textContent === 'locked'")
        view.run(
            "document.getElementById('token').value = 'a-token-for-the-tests'; document.forms[0].requestSubmit()"
        )
        view.wait(LIVE)
        other = page()
        other.open(run.web.url)
        other.wait(LIVE)
        assert "a-token" not in other.run("location.href")
        assert not any("a-token" in url.partition("#")[0] for url in other.requested())


def test_the_end_and_the_next_run(page: Any) -> None:
    with Run(frames=30) as run:
        view = page()
        view.open(run.web.url)
        view.wait("document.getElementById('phase').textContent === 'ended'")
        assert text(view, "card-title") == "All frames are done"
        assert text(view, "card-text").startswith("30 frames in ")
        run.finish()
        view.run("new Promise((done) => setTimeout(done, 1500))")
        assert text(view, "card-title") == "All frames are done"  # though the server has gone


def test_another_site_gets_nothing(page: Any, tmp_path: Path) -> None:
    """A page of another server, even one on the same machine, tries to read, to steer and to show."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with Run() as run, ThreadingHTTPServer(("127.0.0.1", 0), handler) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        (tmp_path / "evil.html").write_text("<!doctype html><title>evil</title>", "utf-8")
        view, url = page(), run.web.url
        view.open(f"http://127.0.0.1:{elsewhere.server_port}/evil.html")
        ours = "headers: {'X-Veca-Edge': '1', 'Content-Type': 'application/json'}"
        body = "method: 'POST', body: JSON.stringify({cores: 8})"
        for attempt in (f"'{url}state', {{{ours}}}", f"'{url}control', {{{ours}, {body}}}", f"'{url}'"):
            assert view.run(f"fetch({attempt}).then(() => 'read', () => 'stopped')") == "stopped"
        simple = f"fetch('{url}control', {{mode: 'no-cors', {body}}}).then((r) => r.type, () => 'stopped')"
        assert view.run(simple) in ("opaque", "stopped")  # it arrives, and is refused there
        image = f"i.onload = () => done('shown'); i.onerror = () => done('nothing'); i.src = '{url}frame'"
        assert view.run(f"new Promise((done) => {{ const i = new Image(); {image} }})") == "nothing"
        view.run(f"document.body.append(Object.assign(document.createElement('iframe'), {{src: '{url}'}})); 1")
        time.sleep(1)
        assert not run.web.board.watched  # the page in the frame was not shown
        view.open(url)
        view.wait(LIVE)
        assert run.web.board.watched
        assert set(run.model.calls) == {64}
        elsewhere.shutdown()
