from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.paths import GOLDEN
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import VecaConfig, default_budgets, default_weights, expected_shapes
from veca_edge.model.veca import Head, Veca, VecaOutput, random_veca


def tiny(**overrides: bool | int) -> VecaConfig:
    sizes = {"hidden_dim": 32, "num_heads": 2, "num_layers": 3, "num_cores": 32}
    return VecaConfig.from_family("small", **{**sizes, **overrides})


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(model: Veca, images: torch.Tensor, cores: int | None = None) -> VecaOutput:
    with torch.no_grad():
        output: VecaOutput = model(images, cores)
    return output


@pytest.fixture(scope="module")
def published() -> Veca:
    return read_checkpoint(GOLDEN / "published-96.pt").build()


@pytest.mark.parametrize("cores", [8, 24, 64])
@pytest.mark.parametrize("size", ["128x128", "96x160"])
def test_agrees_with_the_published_implementation(published: Veca, size: str, cores: int) -> None:
    with np.load(GOLDEN / "published-96.npz") as golden:
        pixels = golden[f"image_{size}"]
        embedding, features = golden[f"embedding_{size}_c{cores}"], golden[f"features_{size}_c{cores}"]
    mean, deviation = np.array([IMAGENET_MEAN, IMAGENET_STD], np.float32)
    normal = (pixels.astype(np.float32) / 255 - mean) / deviation
    output = run(published, torch.from_numpy(normal).permute(2, 0, 1)[None], cores)
    np.testing.assert_allclose(output.embedding[0], embedding, atol=1e-4, rtol=0)
    np.testing.assert_allclose(output.features[0], features, atol=1e-4, rtol=0)


@pytest.mark.parametrize("overrides", [{}, {"patch_embed_norm": True, "output_dim": 20}, {"num_layers": 1}])
def test_parameter_names_and_shapes_are_the_published_ones(overrides: dict[str, Any]) -> None:
    config = tiny(**overrides)
    state = random_veca(config).state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == expected_shapes(config)


@pytest.mark.parametrize("cores", [8, 16, 24])
def test_a_prefix_of_the_bank_is_a_model_with_a_smaller_bank(cores: int) -> None:
    full = random_veca(tiny(), seed=1)
    budgets = default_budgets(cores, 8)
    config = replace(full.config, num_cores=cores, budgets=budgets, budget_weights=default_weights(budgets))
    state = {name: value for name, value in full.state_dict().items() if name in expected_shapes(config)}
    cut = Veca(config).eval()
    cut.load_state_dict(state)
    images = noise(2, 3, 32, 48)
    torch.testing.assert_close(run(cut, images), run(full, images, cores), rtol=0, atol=0)
    assert not torch.equal(run(full, images, cores).embedding, run(full, images).embedding)


def test_images_of_a_batch_do_not_influence_each_other() -> None:
    model, images = random_veca(tiny()), noise(3, 3, 32, 64)
    together = run(model, images, 16)
    alone = run(model, images[1:2], 16)
    torch.testing.assert_close(together.features[1:2], alone.features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.embedding[1:2], alone.embedding, atol=1e-5, rtol=1e-5)


@torch.no_grad()  # type: ignore[untyped-decorator]
def test_patches_that_are_left_out_change_nothing() -> None:
    model, images = random_veca(tiny()), noise(2, 3, 64, 48)
    kept = torch.tensor([[7, 0, 10], [1, 2, 11]])
    some, others = model(images, 16, kept), images.clone()
    seen = torch.zeros(2, 12, dtype=torch.bool).scatter(1, kept, True).view(2, 1, 4, 3)
    pixels = seen.repeat_interleave(16, 2).repeat_interleave(16, 3).expand_as(images)
    others[~pixels] = 5.0
    assert torch.equal(model(others, 16, kept).features, some.features)
    others[pixels] += 1
    assert (model(others, 16, kept).embedding - some.embedding).abs().amin(1).max() > 1e-4


@torch.no_grad()  # type: ignore[untyped-decorator]
def test_all_patches_in_any_order_are_the_whole_image() -> None:
    model, images = random_veca(tiny()), noise(2, 3, 64, 48)
    order = torch.stack([torch.randperm(12, generator=torch.Generator().manual_seed(seed)) for seed in range(2)])
    whole, shuffled = model(images, 16), model(images, 16, order)
    torch.testing.assert_close(shuffled.embedding, whole.embedding, atol=1e-5, rtol=1e-5)
    for row in range(2):
        torch.testing.assert_close(shuffled.features[row], whole.features[row, order[row]], atol=1e-5, rtol=1e-5)


def test_within_one_layer_patches_do_not_see_each_other() -> None:
    model, images = random_veca(tiny(num_layers=1)), noise(1, 3, 32, 32)
    changed = images.clone()
    changed[..., :16, :16] += 1
    before, after = run(model, images), run(model, changed)
    torch.testing.assert_close(after.features[:, 1:], before.features[:, 1:])
    assert (after.features[:, 0] - before.features[:, 0]).abs().max() > 0.01
    assert (after.embedding - before.embedding).abs().max() > 0.01


@pytest.mark.parametrize(
    ("shape", "cores", "message"),
    [
        ((1, 3, 33, 32), 8, "image of 32 x 33 pixels: both sides must be multiples of 16"),
        ((1, 3, 0, 32), 8, "multiples of 16"),
        ((1, 4, 32, 32), 8, r"expected \(batch, 3, height, width\)"),
        ((3, 32, 32), 8, r"expected \(batch, 3, height, width\)"),
        ((1, 3, 32, 32), 40, "40 cores: use a multiple of 8 from 8 to 32"),
    ],
)
def test_impossible_inputs_are_refused(shape: tuple[int, ...], cores: int, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        run(random_veca(tiny()), torch.zeros(shape), cores)


def test_positions_are_augmented_in_training_only() -> None:
    model, images = random_veca(tiny()), noise(1, 3, 32, 32)
    assert torch.equal(run(model, images).embedding, run(model, images).embedding)
    model.train()
    torch.manual_seed(0)
    assert not torch.equal(run(model, images).embedding, run(model, images).embedding)


def test_blocks_are_skipped_in_training_only() -> None:
    model, images = random_veca(replace(tiny(), rope_shift=None, rope_rescale=None)), noise(64, 3, 32, 32)
    plain, names = run(model, images).embedding, set(model.state_dict())
    model.stochastic_depth = 0.5
    assert torch.equal(run(model, images).embedding, plain)
    assert set(model.state_dict()) == names
    torch.manual_seed(0)
    found = run(model.train(), images).embedding
    changed = (found - plain).abs().amax(-1) > 1e-4
    assert 0.6 < changed.float().mean() <= 1  # each of two halves of the last block is skipped by every other image
    model.stochastic_depth = 0.0
    torch.testing.assert_close(run(model, images).embedding, plain)


def test_every_active_weight_gets_a_gradient() -> None:
    model = random_veca(tiny()).train()
    output = model(noise(2, 3, 32, 32), 16)
    (output.embedding.square().sum() + output.features.square().sum()).backward()
    without = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    assert without == {f"{kind}_chunks.{i}" for kind in ("query_token", "qcoord") for i in (2, 3)}


def test_head_reads_the_embedding_and_the_mean_feature() -> None:
    head = Head(4, 3)
    output = VecaOutput(noise(2, 4, seed=1), noise(2, 5, 4, seed=2))
    expected = torch.cat((output.embedding, output.features.mean(1)), 1) @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(output), expected)


def test_random_models_repeat_by_seed_and_use_attention_and_positions() -> None:
    same, other = random_veca(tiny(), seed=5), random_veca(tiny(), seed=6)
    images = noise(1, 3, 64, 64)
    reference = run(random_veca(tiny(), seed=5), images)
    assert torch.equal(run(same, images).features, reference.features)
    assert not torch.equal(run(other, images).features, reference.features)
    # Swapping two patches must change more than the order of the features: positions matter.
    swapped = images.roll(16, dims=3)
    moved = run(same, swapped).features.unflatten(1, (4, 4)).roll(-1, dims=2).flatten(1, 2)
    difference = (moved - reference.features).square().mean().sqrt() / reference.features.std()
    assert 0.02 < difference < 1.5
    assert 0.5 < reference.features.std() < 2
