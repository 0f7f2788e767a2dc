"""Features of a frozen model: the right ones, once, whatever happens in between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.known import known
from tests.photos.labelled_photos import tiny_checkpoint, write_photos
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.photos.folders import Photos, read_folder
from veca_edge.training.heads import cache as featurecache
from veca_edge.training.heads.features import Extractor, Features, compute_features, draw_budgets

BUDGETS = (8, 16, 24)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of the cache's files."""
    monkeypatch.setenv("VECA_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    """20 photos; the cache knows them by their place, so tests may share them."""
    return read_folder(write_photos(tmp_path_factory.mktemp("photos"), train=7)).train.select(range(20))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return tiny_checkpoint()


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(photos, cores) of each batch that the model computes."""
    batches: list[tuple[int, int]] = []
    compute = Extractor.compute

    def counted(self: Extractor, images: list[NDArray[np.uint8]], cores: int) -> NDArray[np.float16]:
        batches.append((len(images), cores))
        return compute(self, images, cores)

    monkeypatch.setattr(Extractor, "compute", counted)
    return batches


def features_of(
    checkpoint: Checkpoint, photos: Photos, cores: NDArray[np.int64] | None = None, **settings: Any
) -> Features:
    cores = draw_budgets(photos, BUDGETS, 3) if cores is None else cores
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing | {"image_size": 32})
    return known(compute_features(checkpoint, preprocessing, photos, cores, **settings))


def test_they_are_what_the_head_takes(checkpoint: Checkpoint, photos: Photos) -> None:
    features = features_of(checkpoint, photos)
    model = checkpoint.build()
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    for row in (0, 7, 19):
        image = preprocessing.resize(read_image(photos.paths[row]), 16, 32).image
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
        for index, cores in enumerate(features.cores[row].tolist()):
            with torch.inference_mode():
                output = model(((pixels - mean) / std)[None], cores)
            expected = torch.cat((output.embedding[0], output.features[0].mean(0))).numpy()
            assert features.values[row, index] == pytest.approx(expected, abs=3e-3)


def test_a_second_run_computes_nothing(
    checkpoint: Checkpoint, photos: Photos, computed: list[tuple[int, int]]
) -> None:
    steps: list[int] = []
    first = features_of(checkpoint, photos, advance=steps.append)
    assert sum(steps) == 20
    assert sum(count for count, _ in computed) == 60
    del computed[:], steps[:]
    second = features_of(checkpoint, photos, advance=steps.append)
    assert np.array_equal(first.values, second.values)
    assert (computed, sum(steps)) == ([], 20)


def test_only_what_is_new_is_computed(
    checkpoint: Checkpoint, photos: Photos, computed: list[tuple[int, int]]
) -> None:
    one = draw_budgets(photos, BUDGETS, 1)
    features_of(checkpoint, photos, one)
    del computed[:]
    features_of(checkpoint, photos, draw_budgets(photos, BUDGETS, 2))
    assert sum(count for count, _ in computed) == 20


def test_a_changed_photo_is_computed_again(
    checkpoint: Checkpoint, photos: Photos, computed: list[tuple[int, int]], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(photos.paths[0].read_bytes())
    changed = type(photos)((copy, *photos.paths[1:3]), photos.targets[:3], photos.labels)
    features_of(checkpoint, changed)
    copy.write_bytes(photos.paths[5].read_bytes())
    os.utime(copy, ns=(1, 1))
    del computed[:]
    features_of(checkpoint, changed)
    assert sum(count for count, _ in computed) == 3


def test_a_new_head_changes_nothing_another_model_all(
    checkpoint: Checkpoint, photos: Photos, computed: list[tuple[int, int]]
) -> None:
    features_of(checkpoint, photos)
    del computed[:]
    head = {"weight": torch.zeros(3, 64), "bias": torch.zeros(3)}
    features_of(
        type(checkpoint)(checkpoint.config, checkpoint.state, head, ("a", "b", "c"), checkpoint.preprocessing),
        photos,
    )
    assert computed == []
    state = {name: value.clone() for name, value in checkpoint.state.items()}
    state["final_norm.bias"] += 1
    features_of(type(checkpoint)(checkpoint.config, state, None, (), checkpoint.preprocessing), photos)
    assert sum(count for count, _ in computed) == 60


def test_an_interrupted_run_keeps_what_it_has(
    checkpoint: Checkpoint, photos: Photos, computed: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.training.heads.features.TOKENS", 4 * (4 + 24))  # batches of four
    compute, calls = Extractor.compute, iter(range(100))

    def interrupted(self: Extractor, images: list[NDArray[np.uint8]], cores: int) -> NDArray[np.float16] | None:
        if next(calls) == 5:
            raise KeyboardInterrupt
        return compute(self, images, cores)

    with monkeypatch.context() as patch:
        patch.setattr(Extractor, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            features_of(checkpoint, photos)
    assert sum(count for count, _ in computed) == 20
    del computed[:]
    features_of(checkpoint, photos)
    assert sum(count for count, _ in computed) == 40


@pytest.mark.parametrize("damage", [b"", b"no database at all", None])
def test_a_damaged_cache_is_made_again(
    checkpoint: Checkpoint, photos: Photos, folder: Path, computed: list[tuple[int, int]], damage: bytes | None
) -> None:
    first = features_of(checkpoint, photos)
    (path,) = folder.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    del computed[:]
    assert np.array_equal(features_of(checkpoint, photos).values, first.values)
    assert sum(count for count, _ in computed) > 0
    del computed[:]
    assert np.array_equal(features_of(checkpoint, photos).values, first.values)


def test_damaged_vectors_are_not_believed(folder: Path) -> None:
    said: list[str] = []
    good = np.arange(4, dtype=np.float16)
    with featurecache.FeatureCache("test", 4, said.append) as cache:
        broken = np.array([1, np.nan, 1, 1], np.float16)
        cache.write([(b"a", 8, good), (b"a", 16, good[:3]), (b"a", 24, broken)])
        assert {cores: vector.tolist() for cores, vector in cache.read(b"a").items()} == {8: [0, 1, 2, 3]}
    assert said == []


def test_without_a_cache_folder_it_works_all_the_same(checkpoint: Checkpoint, photos: Photos, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    said: list[str] = []
    assert features_of(checkpoint, photos, say=said.append).values.shape == (20, 3, 64)
    assert len(said) == 1
    assert "features are not kept" in said[0]


def test_files_that_were_used_long_ago_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(about: str) -> bool:
        with featurecache.FeatureCache(about, 4000, print) as cache:
            return bool(cache.read(b"photo"))

    for age, about in ((300, "oldest"), (200, "older"), (100, "newest")):
        before = set(folder.glob("*"))
        with featurecache.FeatureCache(about, 4000, print) as cache:
            cache.write([(b"photo", cores, np.zeros(4000, np.float16)) for cores in range(9)])
        (path,) = set(folder.glob("*")) - before
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    monkeypatch.setattr(featurecache, "LIMIT", 2.5 * path.stat().st_size)
    assert known("oldest")  # in use again, and so the newest
    assert len(list(folder.iterdir())) == 2
    assert known("newest")
    assert not known("older")


def test_unreadable_photos_are_named_and_left_out(checkpoint: Checkpoint, photos: Photos, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes(photos.paths[0].read_bytes()[:900])
    gone = tmp_path / "gone.png"
    some = type(photos)((photos.paths[0], cut, gone, photos.paths[3]), photos.targets[:4], photos.labels)
    said: list[str] = []
    steps: list[int] = []
    features = features_of(checkpoint, some, say=said.append, advance=steps.append)
    assert features.photos.paths == (photos.paths[0], photos.paths[3])
    assert np.array_equal(features.values, features_of(checkpoint, photos.select([0, 3])).values)
    assert [str(path) in line for path, line in zip((cut, gone), said, strict=True)] == [True, True]
    assert sum(steps) == 4


def test_photos_may_keep_their_aspect_ratio(photos: Photos) -> None:
    checkpoint = tiny_checkpoint()
    checkpoint.preprocessing["fit"] = "keep"
    together = features_of(checkpoint, photos).values
    alone = features_of(checkpoint, photos.select([3])).values
    assert np.array_equal(together[3], alone[0])


def test_a_model_that_computes_no_numbers_is_refused(photos: Photos) -> None:
    checkpoint = tiny_checkpoint()
    checkpoint.state["blocks.1.fc2.weight"] *= 1e38
    with pytest.raises(VecaError, match="at 8 cores and 32 px the model computes values that are not finite"):
        features_of(checkpoint, photos, np.full((20, 1), 8))


def test_out_of_memory_says_what_to_lower(
    checkpoint: Checkpoint, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.model.veca.Veca.forward", lambda self, images, cores: torch.empty(2**55))
    with pytest.raises(VecaError, match="out of memory at 32 px: use a smaller --image-size"):
        features_of(checkpoint, photos)


def test_more_than_the_memory_holds_is_refused_before_any_work(
    checkpoint: Checkpoint, photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("veca_edge.training.heads.features.MAX_BYTES", 20 * 3 * 64 * 2 - 1)
    with pytest.raises(VecaError, match="20 photos at 3 budgets"):
        features_of(checkpoint, photos)


def test_draws_cover_all_budgets_and_fewer_are_the_first_of_more(photos: Photos) -> None:
    many = photos.select(np.arange(600) % 20)
    many = type(many)(tuple(Path(f"{i}.jpg") for i in range(600)), many.targets, many.labels)
    drawn = draw_budgets(many, BUDGETS, 2)
    assert all(len(set(row)) == 2 for row in drawn.tolist())
    assert np.bincount(drawn.flatten())[list(BUDGETS)] == pytest.approx(400, abs=60)
    assert np.array_equal(draw_budgets(many, BUDGETS, 1), drawn[:, :1])
    assert sorted(draw_budgets(many, BUDGETS, 3)[0].tolist()) == [8, 16, 24]
