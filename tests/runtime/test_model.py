"""`veca_edge.load` and calling a model, against the published implementation's numbers."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import veca_edge
from tests.known import known
from tests.paths import GOLDEN
from veca_edge import Model, VecaError
from veca_edge.arrays import Image

SIZES = ("128x128", "96x160")


@pytest.fixture(scope="module")
def eager_model() -> Model:
    from veca_edge.model.checkpoint import default_checkpoint_path

    return veca_edge.load(default_checkpoint_path())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cores", [8, 24, 64])
def test_a_converted_file_computes_what_the_published_implementation_does(
    golden_model_file: Path, size: str, cores: int
) -> None:
    golden = np.load(GOLDEN / "published-96.npz")
    encoded = veca_edge.load(golden_model_file).engine.encode(golden[f"image_{size}"], cores)
    np.testing.assert_allclose(encoded.embedding, golden[f"embedding_{size}_c{cores}"], atol=1e-4)
    np.testing.assert_allclose(encoded.features, golden[f"features_{size}_c{cores}"], atol=1e-4)


@pytest.mark.parametrize("cores", [8, 64])
@pytest.mark.parametrize("image_size", [128, 256])
def test_engines_agree(model: Model, eager_model: Model, photo: Image, cores: int, image_size: int) -> None:
    fast = model(photo, cores=cores, image_size=image_size)
    eager = eager_model(photo, cores=cores, image_size=image_size)
    assert fast.top(1)[0].label == eager.top(1)[0].label
    for name in ("features", "embedding", "core_attention"):
        a, b = getattr(fast, name), getattr(eager, name)
        assert a.shape == b.shape
        cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
        assert cosine > 0.999, name


def test_a_photo_is_recognised(model: Model, photo: Image) -> None:
    assert model(photo).top(1)[0].label == "milk"


def test_how_things_are_shown(model: Model, eager_model: Model, photo: Image) -> None:
    assert repr(model) == f"<Model {model.name}, 153 labels, 8 to 64 cores, 256 px, executorch>"
    result = model(photo, cores=32)
    doubt = "" if result.sure else ", not sure"
    assert re.fullmatch(rf"<Result milk \d+ %{doubt}, 32 cores, 256 px, \d+\.\d ms>", repr(result))
    bare = replace(result, logits=None, image_size=(128, 192))
    assert repr(bare).startswith("<Result of 192 values, 32 cores, 128 x 192 px, ")
    assert repr(model.stream(cores=8)) == f"<Stream of {model.name}, 8 cores, 256 px>"
    with pytest.raises(VecaError, match=r"convert the checkpoint"):
        eager_model.stream()


def test_shapes_and_types(model: Model) -> None:
    image = np.zeros((200, 360, 3), np.uint8)
    result = model(image, cores=16, image_size=192)
    assert result.features.shape == (12, 12, 192)
    attention = known(result.core_attention)
    assert attention.shape == (12, 12, 16)
    assert result.embedding.shape == (192,)
    assert result.logits is not None
    assert result.logits.shape == (153,)
    assert {a.dtype for a in (result.features, attention, result.embedding)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    assert result.crop == (80, 0, 200, 200)
    assert result.image_size == (192, 192)
    assert 0 < result.latency < 60


def test_results_outlive_the_next_call(model: Model, photo: Image) -> None:
    first = model(photo, cores=64)
    kept = first.features.copy(), first.embedding.copy(), known(first.core_attention).copy()
    model(255 - photo, cores=8)
    for before, after in zip(kept, (first.features, first.embedding, known(first.core_attention)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_result_can_be_sent_to_another_process(model: Model, photo: Image) -> None:
    for result in (model(photo, 8, 128), model.stream(8, 128).update(photo)):
        received = pickle.loads(pickle.dumps(result))
        np.testing.assert_array_equal(received.features, result.features)
        np.testing.assert_array_equal(received.dense["people"].cells, result.dense["people"].cells)
        assert str(received.dense) == str(result.dense)
        assert "shoes" not in result.dense


def test_budgets_and_sizes_alternate_freely(model: Model, photo: Image) -> None:
    expected = {(c, s): model(photo, c, s).features for c in (8, 40, 64) for s in (64, 128, 256)}
    for (cores, size), features in reversed(expected.items()):
        np.testing.assert_array_equal(model(photo, cores, size).features, features)


def test_models_in_one_process_do_not_share_weights(
    default_model_file: Path, golden_model_file: Path, photo: Image
) -> None:
    """Both have a "blocks.0.even"; the runtime's cache of packed weights knows weights by key alone."""
    golden = np.load(GOLDEN / "published-96.npz")
    one, other = veca_edge.load(default_model_file), veca_edge.load(golden_model_file)
    alone = one(photo).features
    found = other.engine.encode(golden["image_128x128"], 24)
    np.testing.assert_allclose(found.features, golden["features_128x128_c24"], atol=1e-4)
    np.testing.assert_array_equal(one(photo).features, alone)
    other.close()
    np.testing.assert_array_equal(one(photo).features, alone)
    one.close()
    again = veca_edge.load(default_model_file)
    np.testing.assert_array_equal(again(photo).features, alone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cores": 12}, "12 cores: this model offers 8, 16"),
        ({"cores": 0}, "0 cores"),
        ({"cores": 72}, "72 cores"),
        ({"image_size": 100}, "multiple of the patch size 16"),
        ({"image_size": 1024}, "4096 patches are too many, the model file takes 1024"),
    ],
    ids=str,
)
def test_impossible_requests_are_one_line(
    model: Model, photo: Image, arguments: dict[str, int], message: str
) -> None:
    with pytest.raises(VecaError, match=message):
        model(photo, **arguments)


@pytest.mark.parametrize("path", [3, 1.5, b"a.pte", ["a.pte"], True, ""])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(VecaError, match="give the path of a model file"):
        veca_edge.load(path)


def test_missing_file() -> None:
    with pytest.raises(VecaError, match=r"nowhere\.pte: no such file"):
        veca_edge.load("nowhere.pte")


def test_the_weight_cache_is_on(model: Model) -> None:
    """Known to work with the pinned ExecuTorch; without it a model takes twice the memory."""
    from veca_edge.runtime.engines.weight_cache import enable_weight_cache

    assert enable_weight_cache()
