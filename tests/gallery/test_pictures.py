"""An index of pictures: what is found, what is kept in a file, and what no file may do."""

from __future__ import annotations

import json
import os
import resource
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veca_edge import Model, PictureIndex, VecaError
from veca_edge.arrays import Float, Image
from veca_edge.gallery.pictures import LAYOUT, MadeWith
from veca_edge.gallery.vectors import unit_vectors

MADE = MadeWith("everyday", "ab" * 32, 64, 128)


def an_index(vectors: Float, folder: Path = Path("photos")) -> PictureIndex:
    names = tuple(f"{number:03d}.jpg" for number in range(len(vectors)))
    return PictureIndex(folder, names, np.arange(2 * len(names)).reshape(-1, 2), unit_vectors(vectors), MADE)


def random_vectors(count: int, width: int = 16) -> Float:
    return np.random.default_rng(0).standard_normal((count, width), dtype=np.float32)


def names(found: Any) -> list[str]:
    return [picture.path.name for picture in found]


def test_the_most_similar_come_first() -> None:
    vectors = random_vectors(300)
    found = an_index(vectors).search(7 * vectors[5], top=10)
    cosines = unit_vectors(vectors) @ unit_vectors(vectors[5])
    assert names(found) == [f"{row:03d}.jpg" for row in np.argsort(-cosines)[:10]]
    assert [picture.similarity for picture in found] == pytest.approx(np.sort(cosines)[::-1][:10], abs=1e-6)
    assert found[0].path == Path("photos/005.jpg")


@pytest.mark.parametrize(("top", "least", "count"), [(1, -1, 1), (2**31 - 1, -1, 40), (40, 0.999, 1), (5, 1, 0)])
def test_no_more_are_found_than_asked_for(top: int, least: float, count: int) -> None:
    vectors = random_vectors(40)
    found = an_index(vectors).search(vectors[3] + 0.01, top, least)
    assert len(found) == count
    assert names(found)[:1] == ["003.jpg"][:count]


def test_equal_pictures_stand_in_their_order() -> None:
    found = an_index(np.ones((6, 4), np.float32)).search(np.ones(4, np.float32), top=6)
    assert names(found) == [f"{row:03d}.jpg" for row in range(6)]
    assert {picture.similarity for picture in found} == {1.0}


def test_an_empty_index_finds_nothing() -> None:
    index = PictureIndex(Path("photos"), (), np.empty((0, 2), np.int64), np.empty((0, 16), np.float32), MADE)
    assert (index.search(np.ones(16, np.float32)), index.duplicates()) == ((), ())


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
def test_duplicates_are_groups_around_their_first(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """However many rows are compared at a time."""
    monkeypatch.setattr("veca_edge.gallery.pictures.BLOCK", block)
    vectors = random_vectors(12, 64)
    vectors[7], vectors[4] = vectors[1] + 0.02 * vectors[9], vectors[1] + 0.1 * vectors[9]
    vectors[11] = vectors[10]
    done: list[float] = []
    groups = an_index(vectors).duplicates(0.98, done.append)
    assert [names(group) for group in groups] == [["001.jpg", "007.jpg", "004.jpg"], ["010.jpg", "011.jpg"]]
    assert [len(group) for group in an_index(vectors).duplicates(0.9999)] == [2]
    assert done == sorted(done)
    assert done[-1] == 1.0


def test_one_group_takes_all_that_are_the_same() -> None:
    (group,) = an_index(np.ones((50, 4), np.float32)).duplicates()
    assert len(group) == 50


def test_a_result_is_searched_for(model: Model, photo: Image) -> None:
    result = model(photo)
    index = replace(an_index(random_vectors(9, len(result.embedding))), made_with=MadeWith.of(model))
    index.embeddings[4] = unit_vectors(result.embedding)
    index.check_model(model)
    (best,) = index.search(result, top=1)
    assert best.path.name == "004.jpg"
    assert best.similarity == pytest.approx(1, abs=1e-6)


def test_another_model_is_refused(model: Model, photo: Image) -> None:
    index = an_index(random_vectors(3))
    with pytest.raises(VecaError, match=r"was made with the model 'everyday', which is another .*: give that one"):
        index.check_model(model)
    with pytest.raises(VecaError, match=r"192 values is not like those of the index, which have 16: use"):
        index.search(model(photo))


@pytest.mark.parametrize("vector", [np.zeros(16), np.full(16, np.nan), np.full(16, 1e300)])
def test_nothing_is_like_a_vector_that_is_none(vector: Float) -> None:
    with pytest.raises(VecaError, match=r"zero or not finite"):
        an_index(random_vectors(3)).search(vector)


def test_a_large_vector_has_a_direction_as_well() -> None:
    """Though its square is no float32."""
    vectors = random_vectors(3)
    large = vectors[1] * np.float32(1e38 / np.abs(vectors[1]).max())
    assert names(an_index(vectors).search(large, 1)) == ["001.jpg"]


# In a file.


def odd_names(folder: Path) -> PictureIndex:
    index = an_index(random_vectors(4), folder)
    return replace(index, names=("a\nb.jpg", "sub/ü.jpg", "\x1b[31m.jpg", os.fsdecode(b"\xff.jpg")))


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    index = odd_names(tmp_path / "photos")
    index.save(tmp_path / "photos.npz")
    again = PictureIndex.load(tmp_path / "photos.npz")
    assert (again.names, again.made_with, again.folder) == (index.names, index.made_with, index.folder)
    assert np.array_equal(again.stamps, index.stamps)
    assert np.abs(again.embeddings - index.embeddings).max() < 1e-3
    again.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "photos.npz").read_bytes()
    with np.load(tmp_path / "photos.npz", allow_pickle=False) as file:
        assert set(file.files) == set(LAYOUT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.npz", "photos.npz"]


def test_pictures_are_found_from_any_folder_and_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "there")
    an_index(random_vectors(2)).save("photos.npz")
    assert PictureIndex.load("photos.npz").path(0) == Path("photos/000.jpg")
    monkeypatch.chdir("sub")
    assert PictureIndex.load("../photos.npz").path(0) == Path("../photos/000.jpg")
    (tmp_path / "there").rename(tmp_path / "moved")
    assert PictureIndex.load(tmp_path / "moved" / "photos.npz").path(0) == tmp_path / "moved" / "photos" / "000.jpg"


def test_a_folder_elsewhere_keeps_its_whole_name(tmp_path: Path) -> None:
    """Also one that is no text."""
    (tmp_path / "indexes").mkdir()
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    an_index(random_vectors(2), folder).save(tmp_path / "indexes" / "a.npz")
    assert PictureIndex.load(tmp_path / "indexes" / "a.npz").path(1) == folder / "001.jpg"


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def _about(**changed: Any) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        said = {**json.loads(arrays["about"].tobytes()), **changed}
        arrays["about"] = np.frombuffer(json.dumps(said).encode(), np.uint8)

    return change


def _as(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda arrays: arrays.update({name: value(arrays[name])})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arrays: arrays.pop("names"), "it has no array 'names'"),
        (_as("embeddings", lambda e: e.astype(np.float64)), "its embeddings is of another kind"),
        (_as("embeddings", lambda e: e.ravel()), "its embeddings is of another kind"),
        (_as("embeddings", np.asfortranarray), "its embeddings is of another kind"),
        (_as("embeddings", lambda e: e * 2), "length is not 1"),
        (_as("embeddings", lambda e: e * np.float16(np.nan)), "length is not 1"),
        (_as("embeddings", lambda e: e[:0]), "not equally long"),
        (_as("stamps", lambda s: s[:, :1]), "not equally long"),
        (_as("names", lambda n: n[:-1]), "not equally long"),
        (_as("names", lambda n: np.frombuffer(b"../../a\0b\0c\0d\0", np.uint8)), "outside of its folder"),
        (_as("names", lambda n: np.frombuffer(b"/etc/a\0b\0c\0d\0", np.uint8)), "outside of its folder"),
        (_as("about", lambda a: a[:9]), "is not JSON"),
        (_about(kind="other"), "of another kind"),
        (_about(format=2), "its format is 2, this version reads 1"),
        (_about(made_with={"model": "x"}), "does not say which model"),
        (_about(made_with=[1]), "does not say which model"),
        (_about(made_with={**vars(MADE), "cores": "64"}), "does not say which model"),
        (_as("folder", lambda f: f.astype(np.uint16)), "its folder is of another kind"),
    ],
)
def test_a_foreign_or_damaged_file_is_one_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    an_index(random_vectors(4)).save(tmp_path / "a.npz")
    arrays = _arrays(tmp_path / "a.npz")
    change(arrays)
    np.savez(tmp_path / "b.npz", **arrays)
    with pytest.raises(VecaError, match=rf"b\.npz is no index of pictures: .*{said}.*: give a file that"):
        PictureIndex.load(tmp_path / "b.npz")


@pytest.mark.parametrize("keep", [0, 1, 100, 700, -30, -1])
def test_a_file_that_is_cut_off_is_one_line(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.npz"
    an_index(random_vectors(4)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(VecaError, match="is no index of pictures"):
        PictureIndex.load(path)


def test_pickles_and_compressed_arrays_are_refused(tmp_path: Path) -> None:
    an_index(random_vectors(4)).save(tmp_path / "a.npz")
    arrays = _arrays(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", **arrays)
    np.savez(tmp_path / "c.npz", **{**arrays, "names": np.array([object()])})
    for name, said in (("b", "its about is compressed"), ("c", "its names is of another kind")):
        with pytest.raises(VecaError, match=said):
            PictureIndex.load(tmp_path / f"{name}.npz")


def test_a_header_that_claims_a_terabyte_takes_no_memory(tmp_path: Path) -> None:
    an_index(random_vectors(4)).save(tmp_path / "a.npz")
    arrays = _arrays(tmp_path / "a.npz")
    header = np.lib.format.header_data_from_array_1_0(arrays["embeddings"])
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                if name == "embeddings":
                    np.lib.format.write_array_header_1_0(member, {**header, "shape": (10**11, 16)})
                else:
                    np.lib.format.write_array(member, array)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VecaError, match="its embeddings is cut off, or longer than it says"):
        PictureIndex.load(tmp_path / "b.npz")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 15  # kilobytes


def test_names_without_pictures_take_no_memory(tmp_path: Path) -> None:
    """A byte of the file would become an entry of a list."""
    an_index(random_vectors(4)).save(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", **{**_arrays(tmp_path / "a.npz"), "names": np.zeros(1 << 24, np.uint8)})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VecaError, match="its lists are not equally long"):
        PictureIndex.load(tmp_path / "b.npz")
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 17
    )  # kilobytes; the list takes twice that


def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    for path, remedy in ((tmp_path, "make an index of it"), (tmp_path / "none.npz", "check the path")):
        with pytest.raises(VecaError, match=f"^cannot read .*{remedy}"):
            PictureIndex.load(path)
