"""A folder becomes an index: what is computed, what is kept, and what nothing may lose."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.paths import ASSETS, GOLDEN
from veca_edge import Model, PictureIndex, VecaError, load
from veca_edge.arrays import Image
from veca_edge.gallery.vectors import unit_vectors
from veca_edge.image.stills import read_image
from veca_edge.photos import indexing
from veca_edge.photos.indexing import IndexOutcome, IndexRequest, index_pictures

NAMES = ("bottom/apple.jpg", "milk.jpg", "top/banana.jpg")


def quiet(line: str) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures at two depths."""
    place = tmp_path / "photos"
    found = sorted((ASSETS / "photos").glob("*.jpg"))
    for name, photo in zip(NAMES, found, strict=False):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, place / name)
    return place


def request(folder: Path) -> IndexRequest:
    return IndexRequest(folder, folder.parent / "photos.npz")


def counts(outcome: IndexOutcome) -> tuple[int, int, int, int]:
    return outcome.computed, outcome.kept, outcome.dropped, outcome.skipped


def test_every_picture_has_the_models_embedding(folder: Path, model: Model) -> None:
    done: list[float] = []
    index = index_pictures(request(folder), model, quiet, done.append).index
    assert index.names == NAMES
    wanted = [model(read_image(folder / name)).embedding for name in NAMES]
    assert np.abs(index.embeddings - unit_vectors(np.array(wanted))).max() < 1e-6
    assert PictureIndex.load(folder.parent / "photos.npz").names == NAMES
    assert done[-1] == 1


def test_only_what_is_new_or_changed_is_computed(folder: Path, model: Model) -> None:
    def update() -> tuple[int, int, int, int]:
        return counts(index_pictures(request(folder), model, quiet))

    assert update() == (3, 0, 0, 0)
    assert update() == (0, 3, 0, 0)
    shutil.copy(folder / "milk.jpg", folder / "new.jpg")
    os.utime(folder / NAMES[0], ns=(0, 5))
    (folder / NAMES[2]).unlink()
    assert update() == (2, 1, 1, 0)
    (folder / "new.jpg").write_bytes(b"no picture")
    assert update() == (0, 2, 1, 1)


def test_what_cannot_be_read_is_named_and_left_out(folder: Path, model: Model) -> None:
    (folder / "bad.jpg").write_bytes((folder / "milk.jpg").read_bytes()[:500])
    said: list[str] = []
    outcome = index_pictures(request(folder), model, said.append)
    assert (counts(outcome), outcome.index.names) == ((3, 0, 0, 1), NAMES)
    assert len(said) == 1
    assert said[0].startswith(f"skipped: {folder / 'bad.jpg'} is damaged")


def test_a_folder_without_a_readable_picture_is_no_index(tmp_path: Path, model: Model) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(VecaError, match="there are no images in"):
        index_pictures(request(tmp_path / "photos"), model, quiet)
    (tmp_path / "photos" / "a.jpg").write_bytes(b"none")
    with pytest.raises(VecaError, match=r"none of the 1 image in .* can be read"):
        index_pictures(request(tmp_path / "photos"), model, quiet)
    assert not (tmp_path / "photos.npz").exists()


def test_an_interrupted_run_goes_on(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        index_pictures(request(folder), interrupted(model, 2, monkeypatch), said.append)
    assert said == [f"{folder.parent / 'photos.npz'} holds 2 pictures: the same command goes on"]
    monkeypatch.undo()
    assert counts(index_pictures(request(folder), model, quiet)) == (1, 2, 0, 0)


def interrupted(model: Model, at: int, patch: pytest.MonkeyPatch) -> Model:
    """The model, that is interrupted at a picture."""
    run, calls = Model.__call__, iter(range(at))

    def call(self: Model, image: Image, cores: int | None = None, image_size: int | None = None) -> object:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return run(self, image, cores, image_size)

    patch.setattr(Model, "__call__", call)
    return model


def test_the_file_is_written_on_the_way(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a power cut loses half a minute's work."""
    monkeypatch.setattr(indexing, "SAVE_EVERY", -1.0)
    seen: list[int] = []

    def look(done: float) -> None:
        path = folder.parent / "photos.npz"
        seen.append(len(PictureIndex.load(path)) if path.exists() else 0)

    index_pictures(request(folder), model, quiet, look)
    assert seen == [0, 1, 2, 3]


def test_two_writers_lose_nothing(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "SAVE_EVERY", 1e9)
    (folder.parent / "other").mkdir()
    shutil.copy(folder / "milk.jpg", folder.parent / "other")
    first = IndexRequest(folder.parent / "other", folder.parent / "photos.npz")

    def meanwhile(done: float) -> None:
        if done == 0:
            index_pictures(first, model, quiet)

    with pytest.raises(
        VecaError, match=r"another program changed .* meanwhile: run this again when that has ended"
    ):
        index_pictures(request(folder), model, quiet, meanwhile)
    assert PictureIndex.load(folder.parent / "photos.npz").names == ("milk.jpg",)


def test_an_index_keeps_its_cores_and_size(folder: Path, model: Model) -> None:
    output = folder.parent / "photos.npz"
    made = index_pictures(IndexRequest(folder, output, 8, 64), model, quiet).index.made_with
    assert (made.cores, made.image_size, made.digest) == (8, 64, model.source_digest)
    assert index_pictures(request(folder), model, quiet).index.made_with == made
    for cores, size in ((16, None), (None, 128)):
        with pytest.raises(VecaError, match="made with 8 cores and 64 pixels: leave --cores and --image-size out"):
            index_pictures(IndexRequest(folder, output, cores, size), model, quiet)


@pytest.mark.parametrize(("cores", "size", "said"), [(7, None, "7 cores: this model"), (8, 100, "not a multiple")])
def test_what_the_model_lacks_is_refused_before_any_picture(
    folder: Path, model: Model, cores: int, size: int | None, said: str
) -> None:
    with pytest.raises(VecaError, match=said):
        index_pictures(IndexRequest(folder, folder.parent / "a.npz", cores, size), model, pytest.fail)


def test_another_models_index_is_refused(folder: Path, model: Model) -> None:
    index_pictures(request(folder), model, quiet)
    with pytest.raises(VecaError, match="made with the model 'everyday', which is another than"):
        index_pictures(request(folder), load(GOLDEN / "published-96.pt"), quiet)


def test_another_folder_does_not_empty_an_index(folder: Path, model: Model) -> None:
    index_pictures(request(folder), model, quiet)
    other = folder.parent / "other"
    other.mkdir()
    shutil.copy(folder / "milk.jpg", other / "else.jpg")
    asked = IndexRequest(other, folder.parent / "photos.npz")
    with pytest.raises(VecaError, match=r"is the index of another folder, .*, and none of its 3 pictures is in"):
        index_pictures(asked, model, quiet)
    folder.rename(folder.parent / "moved")  # its own folder is known under another name
    moved = IndexRequest(folder.parent / "moved", folder.parent / "photos.npz")
    assert counts(index_pictures(moved, model, quiet)) == (0, 3, 0, 0)
    assert PictureIndex.load(folder.parent / "photos.npz").folder == folder.parent / "moved"


def test_what_is_no_index_is_not_overwritten(folder: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = folder / "milk.jpg"
    before = photo.read_bytes()
    monkeypatch.setenv("HOME", str(folder))
    for name in (photo, Path("~/milk.jpg")):
        with pytest.raises(VecaError, match=r"milk\.jpg is no index of pictures"):
            index_pictures(IndexRequest(folder, name), model, quiet)
        assert photo.read_bytes() == before


def test_times_that_no_calendar_reaches(folder: Path, model: Model) -> None:
    """Some file systems keep years after 2262, whose nanoseconds take more than 64 bits."""
    os.utime(folder / NAMES[0], (2**34 - 2**32, 2**34 - 2**32))
    assert counts(index_pictures(request(folder), model, quiet)) == (3, 0, 0, 0)
    assert counts(index_pictures(request(folder), model, quiet)) == (0, 3, 0, 0)


def test_a_checkpoint_and_what_it_was_converted_to_share_an_index(folder: Path, model: Model) -> None:
    index_pictures(request(folder), model, quiet)
    eager = load(ASSETS / "everyday.pt")
    assert counts(index_pictures(request(folder), eager, quiet)) == (0, 3, 0, 0)
    index = PictureIndex.load(folder.parent / "photos.npz")
    (found,) = index.search(eager(read_image(folder / "milk.jpg")), top=1)
    assert (found.path.name, found.similarity > 0.99) == ("milk.jpg", True)
