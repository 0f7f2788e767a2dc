from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.gallery.results import result
from veca_edge.errors import VecaError
from veca_edge.gallery.gallery import Gallery
from veca_edge.modelfile.means import Means
from veca_edge.runtime.model import Model

MODEL, OTHER = "a" * 64, "b" * 64
MEANS = Means((0.5, 0.25, 0.0), (0.0, 0.125, 1.0), 16)
TAUGHT = Gallery((), MEANS, MODEL).add("mug", result(1, 0, 0)).add("keys", result(0, 1, 0), (0, 0, 8, 8))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.npz"


def test_a_file_gives_back_what_was_saved(path: Path) -> None:
    TAUGHT.save(path)
    found = Gallery.load(path)
    assert (found.means, found.model, dict(found.labels)) == (MEANS, MODEL, dict(TAUGHT.labels))
    assert [example.key for example in found.examples] == [example.key for example in TAUGHT.examples]
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["examples"].shape == (2, 3)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_last_name_can_be_removed(path: Path) -> None:
    TAUGHT.save(path)
    TAUGHT.remove("mug").remove("keys").save(path, before=TAUGHT)
    assert len(Gallery.load(path)) == 0
    assert Gallery.load(path).add("cup", result(0, 0, 1)).predict(result(0, 0, 1))[0].label == "cup"


def test_undo_is_the_gallery_before(path: Path) -> None:
    TAUGHT.save(path)
    more = TAUGHT.add("cup", result(0, 0, 1))
    more.save(path, TAUGHT)
    Gallery.load(path).add("pen", result(1, 1, 1)).save(path)  # another program, meanwhile
    TAUGHT.save(path, before=more)
    assert list(Gallery.load(path).labels) == ["mug", "keys", "pen"]


def test_what_another_writer_took_out_stays_out(path: Path) -> None:
    known = TAUGHT.save(path)
    known.remove("mug").save(path, before=known)
    merged = known.add("pen", result(0, 0, 1)).save(path, before=known)
    assert set(merged.labels) == {"keys", "pen"}
    path.unlink()
    assert set(known.save(path, before=known).labels) == {"mug", "keys"}  # the file is gone, what it held is not


def test_writers_that_meet_lose_nothing(path: Path) -> None:
    """Threads that each read the file once, and only then add; and another process."""
    TAUGHT.save(path)
    start = threading.Barrier(8)

    def write(number: int) -> None:
        own = Gallery.load(path)
        start.wait()
        for turn in range(4):
            own = own.add(f"thing {number}", result(number, turn, 1))
            own.save(path)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Gallery.load(path)) == 2 + 8 * 4


def test_processes_that_meet_lose_nothing(path: Path) -> None:
    code = (
        "import sys; from tests.gallery.results import result; from veca_edge import Gallery\n"
        "path, name = sys.argv[1:]\n"
        "for i in range(10): Gallery.load(path).add(name, result(int(name), i, 1)).save(path)"
    )
    TAUGHT.save(path)
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in (1, 2)]
    assert [process.wait() for process in running] == [0, 0]
    assert dict(Gallery.load(path).labels) == {"mug": 1, "keys": 1, "1": 10, "2": 10}


def test_a_gallery_of_another_model_is_refused_and_stays(path: Path, model: Model) -> None:
    TAUGHT.save(path)
    before = path.read_bytes()
    stranger = Gallery((), None, OTHER).add("cup", result(0, 0, 1))
    calls: tuple[Callable[[], Gallery], ...] = (lambda: Gallery.load(path, model), lambda: stranger.save(path))
    for call in calls:
        with pytest.raises(VecaError, match=r"taught with another model \(checkpoint sha256 aaaaaaaaaaaa…\): use"):
            call()
    assert path.read_bytes() == before
    assert len(Gallery((), None, MODEL).add("cup", result(0, 0, 1)).save(path)) == 3  # without means of its own


def test_a_writer_that_knows_less_of_the_model_takes_nothing_from_the_file(path: Path) -> None:
    TAUGHT.save(path)
    Gallery().add("cup", result(0, 0, 1)).save(path)
    found = Gallery.load(path)
    assert (found.model, found.means, len(found)) == (MODEL, MEANS, 3)


def test_a_folder_that_is_locked_for_ever_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr("veca_edge.gallery.file.PATIENCE", 0.1)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with pytest.raises(VecaError, match="another program keeps it locked: end that, or use another folder"):
            TAUGHT.save(path)
    finally:
        os.close(descriptor)
    assert not path.exists()
    TAUGHT.save(path)


@pytest.mark.parametrize("limit", ["MOST_EXAMPLES", "MAX_JSON", "MAX_MEMBER"])
def test_nothing_is_written_that_could_not_be_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    TAUGHT.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(f"veca_edge.gallery.file.{limit}", 2)
    with pytest.raises(VecaError, match="3 examples are more than a gallery's file holds: remove some"):
        TAUGHT.add("cup", result(0, 0, 1)).save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", [None, 5, b"things.npz", ["things.npz"]])
def test_what_is_no_path_is_one_line(name: Any) -> None:
    for call in (Gallery.load, TAUGHT.save):
        with pytest.raises(VecaError, match="is no path: give the name"):
            call(name)


def test_the_gallery_before_is_a_gallery(path: Path) -> None:
    with pytest.raises(VecaError, match="before 'x': give the gallery"):
        TAUGHT.save(path, "x")  # type: ignore[arg-type]
    assert not path.exists()


def test_the_image_size_is_kept_and_files_of_before_have_none(path: Path) -> None:
    wide = replace(result(0, 0, 1), image_size=(48, 32))  # fit "keep" of 32 px
    sized = TAUGHT.add("cup", wide).add("cup", replace(result(0, 1, 1), image_size=(32, 32)))
    sized = sized.add("pen", replace(result(1, 1, 1), image_size=(32, 64)))
    sized.save(path)
    found = Gallery.load(path)
    assert [example.image_size for example in found.examples] == [16, 16, 32, 32, 32]
    assert found.image_size == 32
    assert "taught at 32 px: at 16 px" in found.size_remark(16)
    assert found.size_remark(32) == Gallery().size_remark(16) == ""
    path.write_bytes(repacked(lambda facts: facts.pop("image_sizes"))(path.read_bytes()))
    assert Gallery.load(path).image_size is None


def test_other_files_are_not_replaced(path: Path) -> None:
    path.write_bytes(b"holiday photos")
    with pytest.raises(VecaError, match="no gallery, or a damaged one"):
        TAUGHT.save(path)
    assert path.read_bytes() == b"holiday photos"
    with pytest.raises(VecaError, match=r"end in \.npz"):
        TAUGHT.save(path.with_suffix(".jpg"))


def repacked(change: Callable[[dict[str, Any]], None], array: bytes | None = None) -> Callable[[bytes], bytes]:
    """A damage: the manifest changed, or other bytes for the array."""

    def damage(data: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            facts = json.loads(old.read("manifest.json"))
            change(facts)
            new.writestr("manifest.json", json.dumps(facts))
            new.writestr("examples.npy", old.read("examples.npy") if array is None else array)
        return out.getvalue()

    return damage


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def nothing(facts: dict[str, Any]) -> None: ...


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "damaged"),
    "cut off": (lambda data: data[: len(data) // 2], "damaged"),
    "flipped": (lambda data: data[:100] + bytes([data[100] ^ 255]) + data[101:], "damaged"),
    "another archive": (repacked(lambda facts: facts.update(format="other")), "is no gallery"),
    "newer": (repacked(lambda facts: facts.update(format_version=2)), "update veca-edge"),
    "a version that is none": (repacked(lambda facts: facts.update(format_version="1")), "format '1'"),
    "not a table": (lambda data: repacked(nothing)(data).replace(b'{"format"', b'["format"'), "damaged"),
    "a name of 10,000 characters": (repacked(lambda facts: facts.update(labels=["a" * 10**4, "b"])), "at most 100"),
    "a name that steers": (repacked(lambda facts: facts.update(labels=["\x1b[2J", "b"])), "be shown"),
    "names that are none": (repacked(lambda facts: facts.update(labels=[1, 2])), "is no text"),
    "a label too few": (repacked(lambda facts: facts.update(labels=["a"])), "labels or regions"),
    "an image size that is none": (repacked(lambda facts: facts.update(image_sizes=[True, 16])), "image_sizes"),
    "an image size too few": (repacked(lambda facts: facts.update(image_sizes=[16])), "image_sizes"),
    "a huge image size": (repacked(lambda facts: facts.update(image_sizes=[16, 10**9])), "image_sizes"),
    "regions that are none": (repacked(lambda facts: facts.update(regions=[1, 0])), "regions"),
    "a huge width": (repacked(lambda facts: facts.update(width=10**12)), "width"),
    "another width": (repacked(lambda facts: facts.update(width=4, means=None)), "examples.npy does not fit"),
    "a digest that is none": (repacked(lambda facts: facts.update(model="../../etc")), "model"),
    "means of another width": (repacked(lambda facts: facts["means"].update(features=[1.0])), "means"),
    "means that are no numbers": (repacked(lambda facts: facts["means"].update(features=["a"] * 3)), "means"),
    "values that are no numbers": (repacked(nothing, npy(np.full((2, 3), np.nan, np.float32))), "not numbers"),
    "pickled objects": (repacked(nothing, npy(np.array([{}, {}], object))), "examples.npy does not fit"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_one_line_and_stay(path: Path, kind: str) -> None:
    damage, said = DAMAGED[kind]
    TAUGHT.save(path)
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    calls: tuple[Callable[[], Gallery], ...] = (lambda: Gallery.load(path), lambda: TAUGHT.save(path))
    for call in calls:
        with pytest.raises(VecaError, match=said) as caught:
            call()
        assert str(caught.value).startswith(str(path)[:40]) or "things.npz" in str(caught.value)
        assert len(str(caught.value)) < 500
    assert path.read_bytes() == before


def test_what_is_not_there(path: Path) -> None:
    with pytest.raises(VecaError, match="no such file: check the path"):
        Gallery.load(path)
