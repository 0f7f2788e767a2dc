from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from shlex import quote
from signal import Signals
from subprocess import Popen
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.fakes import RUN_SCRIPT, FakeModel, names
from tests.known import known
from tests.paths import ASSETS, CLIP, GOLDEN
from veca_edge.camera.sources import open_source
from veca_edge.cli import run as command
from veca_edge.cli.main import main
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import Gallery
from veca_edge.reminder import Reminder

MODEL = str(GOLDEN / "made-by-0.2.0.pte")  # is there, and that is all


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replaces the model; holds what `veca_edge.load` was called with."""
    calls = []

    def load(path: str, **more: Any) -> Any:
        calls.append((path, more))
        return FakeModel()

    monkeypatch.setattr("veca_edge.runtime.model.load", load)
    return calls


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["run", MODEL, *map(str, arguments)])


def test_video_with_all_files(tmp_path: Path, loaded: list[Any]) -> None:
    video, log = str(tmp_path / "o.mp4"), str(tmp_path / "o.jsonl")
    done = run("--source", CLIP, "--headless", "--frames", "5", "--cores", "8", "--save", video, "--log", log)
    assert done.exit_code == 0, done.output
    assert loaded == [(Path(MODEL), {"threads": None})]
    assert done.stdout.startswith("5 frames in ")
    assert "  8 cores: latency 10.0 ms median" in done.stdout
    assert f"wrote {video}\nwrote {log}\n" in done.stdout
    assert len(Path(log).read_text(encoding="utf-8").splitlines()) == 5
    assert done.stderr == ""


def test_json_and_threads(loaded: list[Any]) -> None:
    done = run("--source", CLIP, "--headless", "--frames", "3", "--json", "--threads", "2")
    summary = json.loads(done.stdout)
    assert (summary["frames"], summary["latency_ms"][0]["cores"]) == (3, 64)
    assert loaded == [(Path(MODEL), {"threads": 2})]


def test_folder_names_what_it_skips(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "b.jpg").write_text("no image")
    done = run("--source", str(tmp_path), "--headless")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "a.png: Äpfel 70 %"
    assert re.fullmatch(r"1 image in \d+\.\d s \(\d+\.\d per second\)", lines[1])
    assert len(lines) == 3  # and the latency: nothing about dropped frames or shares of labels
    assert "b.jpg" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--source", "missing.mp4"), "missing.mp4: no such file or folder: check the path"),
        (("--source", CLIP, "--camera", "0"), "give one of them"),
        (("--source", CLIP, "--cores", "9"), "this model offers 8, 16, 32, 64"),
        (("--source", CLIP, "--image-size", "100"), "multiple of the patch size"),
        (("--source", CLIP, "--save", "o.txt"), "must end in"),
        (("--source", CLIP, "--log", "missing/o.jsonl"), "no folder"),
        (("--camera", "97"), "cannot open camera 97"),
        (("--source", CLIP, "--view", "x"), "--view"),
        (("--source", CLIP, "--frames", "0"), "--frames"),
        (("--source", CLIP, "--battery", "nan"), "'nan' is not a finite number"),
        (("--source", ""), "the source has an empty name"),
        (("--source", CLIP, "--log", ""), "has an empty name"),
        (("--source", CLIP, "--log", "-"), "- is no name for a file"),
        (("--source", CLIP, "--fps-limit", "1e-300"), "--fps-limit"),
        (("--source", CLIP, "--sensitivity", "1e308"), "--sensitivity"),
        (("--source", ASSETS / "photos", "--target-fps", "5"), "--target-fps works with a video or a camera only"),
        (("--source", CLIP, "--governor", "saver"), "--governor needs a file with a quality table: convert"),
        (
            ("--source", CLIP, "--teach", "my.npz"),
            "my.npz: no such file or folder: make it with `veca-edge teach --add`",
        ),
        (("--source", CLIP, "--teach", "my.json"), "let the name of a gallery end in .npz"),
        (("--source", CLIP, "--teach", "o.npz", "--log", "o.npz"), "o.npz would overwrite an input"),
        (("--source", CLIP, "--serve", "0", "--teach", "no/o.npz"), "there is no folder"),
        (("--source", CLIP, "--serve", "0", "--teach", "o.npz", "--log", "o.npz"), "--log and --teach both name"),
        (("--source", CLIP, "--serve", "0", "--teach", ""), "has an empty name"),
    ],
)
def test_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, "--headless")
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert names(tmp_path) == []


def test_a_gallery_without_a_window_is_recognised_only(tmp_path: Path) -> None:
    gallery, log = tmp_path / "my things.npz", tmp_path / "o.jsonl"
    Gallery().add("a bottle", FakeModel()(next(iter(open_source(str(CLIP)))).image, 64)).save(gallery)
    before = gallery.read_bytes()
    done = run("--source", CLIP, "--headless", "--frames", "3", "--cores", "8,64", "--teach", gallery, "--log", log)
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [record["gallery"]["label"] for record in records] == ["a bottle"] * 3
    assert "first label: a bottle in" in done.stdout
    assert gallery.read_bytes() == before


@pytest.mark.parametrize("shown", [("--headless",), ("--serve", "0")])
def test_a_gallery_of_another_model_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: tuple[str, ...]
) -> None:
    monkeypatch.setattr(FakeModel, "source_digest", "b" * 64)
    Gallery(model="a" * 64).add("mug", FakeModel()(np.zeros((20, 20, 3), np.uint8), 64)).save(tmp_path / "a.npz")
    done = run("--source", CLIP, *shown, "--teach", tmp_path / "a.npz", "--log", tmp_path / "o.jsonl")
    assert done.exit_code == 2
    assert "was taught with another model" in done.stderr
    assert "use a file made from that checkpoint, or teach the examples to a new gallery" in done.stderr
    assert names(tmp_path) == ["a.npz"]


def test_window_without_windows(monkeypatch: pytest.MonkeyPatch, loaded: list[Any]) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    done = run("--source", CLIP)
    assert done.exit_code == 2
    assert "veca-edge[window]" in done.stderr
    assert loaded == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (str(CLIP), f"holds pictures, not a model: did you mean --source {CLIP}?"),
        (str(ASSETS / "photos"), "did you mean --source"),
        (str(ASSETS / "photos" / "milk.jpg"), "did you mean --source"),
        ("nope.pte", "nope.pte: no such file or folder: check the path"),
        ("source=0", "did you mean --source 0?"),
        ("0", "did you mean --camera 0?"),
        ("rtsp://camera.local/stream", "is an address, not a model: did you mean --source?"),
    ],
)
def test_a_source_in_the_place_of_the_model(model: str, message: str, loaded: list[Any]) -> None:
    done = CliRunner().invoke(main, ["run", model, "--headless"])
    assert done.exit_code == 2
    assert message in done.stderr
    assert loaded == []


@pytest.mark.parametrize("kind", ["checkpoint", "model file", "package"])
def test_a_model_in_the_place_of_the_source(kind: str, tmp_path: Path, loaded: list[Any]) -> None:
    files = {
        "checkpoint": ASSETS / "everyday.pt",
        "model file": tmp_path / "a model.pte",
        "package": tmp_path / "m",
    }
    files["model file"].write_bytes(bytes(4) + b"ET12")
    files["package"].mkdir()
    (files["package"] / "Manifest.json").write_text("{}")
    done = run("--source", files[kind], "--headless")
    assert done.exit_code == 2
    assert f"holds a model, not pictures: did you mean `veca-edge run {quote(str(files[kind]))}`?" in done.stderr
    assert loaded == []


def test_without_a_camera_the_other_sources_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veca_edge.camera.sources.LiveSource", missing_camera)
    done = run("--headless")
    assert done.exit_code == 2
    assert "--source" in done.stderr
    assert "--serve" in done.stderr


def missing_camera(*_: object, **__: object) -> None:
    raise VecaError("cannot open camera 0")


def test_a_film_that_nobody_watches_shows_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "Reminder", partial(Reminder, interval=0.02))
    with command._progress_bar("a.mp4", 4) as advance:
        advance()
        time.sleep(0.2)
    assert "  a.mp4                 25 % after 0 s\n" in capsys.readouterr().err
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_all_budgets_alternate() -> None:
    done = run("--source", CLIP, "--headless", "--cores", "all", "--target-fps", "1", "--json")
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [times["cores"] for times in summary["latency_ms"]] == [8, 16, 32, 64]
    assert "computing about 1 frames per second" in done.stderr


def test_help_has_examples() -> None:
    done = CliRunner().invoke(main, ["run", "--help"])
    assert done.exit_code == 0
    assert "--source clip.mp4 --headless --cores 8 --save out.mp4 --json" in done.output


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_cleanly(tmp_path: Path, number: Signals, status: int) -> None:
    command = [sys.executable, "-c", RUN_SCRIPT, "--headless", "--loop", "--fps-limit", "20"]
    command += ["--save", "o.mp4", "--log", "o.jsonl", "--json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_a_part(tmp_path, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == status, err
    assert err == ""
    summary = json.loads(out)
    assert summary["stopped"] == number.name
    assert names(tmp_path) == ["o.jsonl", "o.mp4"]
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == summary["frames"]
    capture = cv2.VideoCapture(str(tmp_path / "o.mp4"))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == summary["frames"]


def wait_for_a_part(folder: Path, process: Popen[str]) -> None:
    """Until the run has written some of its video, so that there is something to finish."""
    import time

    for _ in range(400):
        if any(path.suffix == ".mp4" and path.stat().st_size for path in folder.iterdir()):
            time.sleep(0.2)
            return
        assert process.poll() is None, known(process.stderr).read()
        time.sleep(0.05)
    pytest.fail("the run never started")


def test_a_label_is_shown_only_from_the_confidence_on_that_is_asked_for(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint8))
    log = tmp_path / "log.jsonl"
    for least, shown in (("0.6", "Äpfel 70 %"), ("0.8", "not sure")):
        done = run("--source", tmp_path / "a.png", "--headless", "--min-confidence", least, "--log", log)
        assert done.stdout.startswith(f"a.png: {shown}\n")
        assert ("not sure in 1 of 1 image" in done.stdout) == (shown == "not sure")
        record = json.loads(log.read_text("utf-8"))
        assert (record["sure"], record["top"][0]["label"]) == (shown != "not sure", "Äpfel")
    for wrong in ("nan", "1.5", "much"):
        assert run("--source", tmp_path / "a.png", "--headless", "--min-confidence", wrong).exit_code == 2


def test_frames_of_which_it_is_not_sure_count_for_no_label() -> None:
    done = run("--source", CLIP, "--headless", "--frames", "3", "--json", "--min-confidence", "0.9")
    summary = json.loads(done.stdout)
    assert (summary["labels"], summary["unsure"]) == ([], 3)
