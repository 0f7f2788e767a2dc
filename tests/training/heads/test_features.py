"""Features of a frozen model: the right ones, once, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.photos.labelled_photos import cut, tiny_checkpoint, write_photos
from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.photos.folders import Photos, read_folder
from veca_edge.training.heads import cache, features
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


class Computed:
    """Counts photos times budgets that the model computes; it can be made to interrupt."""

    def __init__(self) -> None:
        self.count, self.batches_left = 0, -1
        self._compute = Extractor.compute

    def __call__(self, extractor: Extractor, images: list[Image], cores: int) -> NDArray[np.float16]:
        if self.batches_left == 0:
            raise KeyboardInterrupt
        self.batches_left -= 1
        self.count += len(images)
        return self._compute(extractor, images, cores)

    def since(self) -> int:
        """How many since the last call of this."""
        count, self.count = self.count, 0
        return count


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Computed:
    counter = Computed()
    monkeypatch.setattr(Extractor, "compute", lambda *given: counter(*given))
    return counter


def features_of(
    checkpoint: Checkpoint,
    photos: Photos,
    cores: NDArray[np.int64] | None = None,
    say: Say = print,
    progress: Callable[[float], None] = lambda _: None,
) -> Features:
    cores = draw_budgets(photos, BUDGETS, 3) if cores is None else cores
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing | {"image_size": 32})
    return compute_features(checkpoint, preprocessing, photos, cores, say, progress)


def test_they_are_what_the_head_takes(checkpoint: Checkpoint, photos: Photos) -> None:
    found = features_of(checkpoint, photos)
    model, preprocessing = checkpoint.build(), Preprocessing.from_dict(checkpoint.preprocessing)
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    for row in (0, 7, 19):
        image = preprocessing.resize(read_image(photos.paths[row]), 16, 32).image
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        for index, cores in enumerate(found.cores[row].tolist()):
            with torch.inference_mode():
                output = model(((pixels - mean) / std)[None], cores)
            expected = torch.cat((output.embedding[0], output.features[0].mean(0))).numpy()
            assert found.values[row, index] == pytest.approx(expected, abs=3e-3)


def test_what_is_known_is_not_computed_again(checkpoint: Checkpoint, photos: Photos, computed: Computed) -> None:
    shares: list[float] = []
    features_of(checkpoint, photos, draw_budgets(photos, BUDGETS, 1))
    assert computed.since() == 20
    first = features_of(checkpoint, photos, progress=shares.append)
    assert computed.since() == 40
    second = features_of(checkpoint, photos, progress=shares.append)
    assert np.array_equal(first.values, second.values)
    assert computed.since() == 0
    assert shares == [*sorted(shares[:-2]), 0, 1]
    assert shares.count(1) == 2


def test_a_changed_photo_is_computed_again(
    checkpoint: Checkpoint, photos: Photos, computed: Computed, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(photos.paths[0].read_bytes())
    changed = Photos((copy, *photos.paths[1:3]), photos.targets[:3], photos.labels)
    features_of(checkpoint, changed)
    copy.write_bytes(photos.paths[5].read_bytes())
    os.utime(copy, ns=(1, 1))
    assert computed.since() == 9
    features_of(checkpoint, changed)
    assert computed.since() == 3


def test_a_new_head_changes_nothing_another_model_all(
    checkpoint: Checkpoint, photos: Photos, computed: Computed
) -> None:
    features_of(checkpoint, photos)
    head = {"weight": torch.zeros(3, 64), "bias": torch.zeros(3)}
    other = {**checkpoint.state, "final_norm.bias": checkpoint.state["final_norm.bias"] + 1}
    assert computed.since() == 60
    features_of(replace(checkpoint, head=head, labels=("a", "b", "c")), photos)
    assert computed.since() == 0
    features_of(replace(checkpoint, state=other), photos)
    assert computed.since() == 60


def test_an_interrupted_run_keeps_what_it_has(
    checkpoint: Checkpoint, photos: Photos, computed: Computed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "TOKENS", 4 * (4 + 24))  # batches of four
    computed.batches_left = 5
    with pytest.raises(KeyboardInterrupt):
        features_of(checkpoint, photos)
    assert computed.since() == 20
    computed.batches_left = -1
    features_of(checkpoint, photos)
    assert computed.since() == 40


@pytest.mark.parametrize("damage", [b"", b"no database at all", None])
def test_a_damaged_cache_is_made_again(
    checkpoint: Checkpoint, photos: Photos, folder: Path, computed: Computed, damage: bytes | None
) -> None:
    first = features_of(checkpoint, photos)
    (path,) = folder.iterdir()
    if damage is None:
        cut(path)
    else:
        path.write_bytes(damage)
    computed.since()
    for again in (True, False):
        assert np.array_equal(features_of(checkpoint, photos).values, first.values)
        assert (computed.since() > 0) == again


def test_damaged_vectors_are_not_believed() -> None:
    said: list[str] = []
    good = np.arange(4, dtype=np.float16)
    with cache.FeatureCache("test", 4, said.append) as kept:
        broken = np.array([1, np.nan, 1, 1], np.float16)
        kept.write([(b"a", 8, good), (b"a", 16, good[:3]), (b"a", 24, broken)])
        assert {cores: vector.tolist() for cores, vector in kept.read(b"a").items()} == {8: [0, 1, 2, 3]}
    assert said == []


def test_without_a_cache_folder_it_works_all_the_same(checkpoint: Checkpoint, photos: Photos, folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("a file where the folder should be")
    said: list[str] = []
    assert features_of(checkpoint, photos, say=said.append).values.shape == (20, 3, 64)
    (line,) = said
    assert "features are not kept" in line


def test_files_that_were_used_long_ago_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def known(about: str) -> bool:
        with cache.FeatureCache(about, 4000, print) as kept:
            return bool(kept.read(b"photo"))

    for age, about in ((300, "oldest"), (200, "older"), (100, "newest")):
        before = set(folder.glob("*"))
        with cache.FeatureCache(about, 4000, print) as kept:
            kept.write([(b"photo", cores, np.zeros(4000, np.float16)) for cores in range(9)])
        (path,) = set(folder.glob("*")) - before
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    monkeypatch.setattr(cache, "LIMIT", 2.5 * path.stat().st_size)
    assert known("oldest")  # in use again, and so the newest
    assert len(list(folder.iterdir())) == 2
    assert known("newest")
    assert not known("older")


def test_unreadable_photos_are_named_and_left_out(checkpoint: Checkpoint, photos: Photos, tmp_path: Path) -> None:
    broken, gone = tmp_path / "broken.png", tmp_path / "gone.png"
    broken.write_bytes(photos.paths[0].read_bytes()[:900])
    some = Photos((photos.paths[0], broken, gone, photos.paths[3]), photos.targets[:4], photos.labels)
    said, shares = list[str](), list[float]()
    found = features_of(checkpoint, some, say=said.append, progress=shares.append)
    assert found.photos.paths == (photos.paths[0], photos.paths[3])
    assert np.array_equal(found.values, features_of(checkpoint, photos.select([0, 3])).values)
    assert [str(path) in line for path, line in zip((broken, gone), said, strict=True)] == [True, True]
    assert shares == pytest.approx([0, 1 / 6, 1 / 3, 1 / 2, 1])  # by budget, not only by photo


def test_photos_may_keep_their_aspect_ratio(photos: Photos) -> None:
    checkpoint = tiny_checkpoint()
    checkpoint.preprocessing["fit"] = "keep"
    together, alone = (features_of(checkpoint, some).values for some in (photos, photos.select([3])))
    assert np.array_equal(together[3], alone[0])


def test_what_cannot_be_computed_is_refused(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tiny_checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr(features, "MAX_BYTES", 20 * 3 * 64 * 2 - 1)
        with pytest.raises(VecaError, match="20 photos at 3 budgets"):
            features_of(checkpoint, photos)
        patch.setattr(features, "MAX_BYTES", 2**30)
        patch.setattr("veca_edge.model.veca.Veca.forward", lambda self, images, cores: torch.empty(2**55))
        with pytest.raises(VecaError, match="out of memory at 32 px: use a smaller --image-size"):
            features_of(checkpoint, photos)
    checkpoint.state["blocks.1.fc2.weight"] *= 1e38
    with pytest.raises(VecaError, match="at 8 cores and 32 px the model computes values that are not finite"):
        features_of(checkpoint, photos, np.full((20, 1), 8))


def test_draws_cover_all_budgets_and_fewer_are_the_first_of_more(photos: Photos) -> None:
    names = tuple(Path(f"{i}.jpg") for i in range(600))
    many = Photos(names, photos.targets[np.arange(600) % 20], photos.labels)
    drawn = draw_budgets(many, BUDGETS, 2)
    assert all(len(set(row)) == 2 for row in drawn.tolist())
    assert np.bincount(drawn.flatten())[list(BUDGETS)] == pytest.approx(400, abs=60)
    assert np.array_equal(draw_budgets(many, BUDGETS, 1), drawn[:, :1])
    assert sorted(draw_budgets(many, BUDGETS, 3)[0].tolist()) == [8, 16, 24]
