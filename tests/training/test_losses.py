from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.model.veca import VecaOutput
from veca_edge.training.losses import Distillation, Learned, compute_losses, label_loss, resize_grid, total
from veca_edge.training.settings import LossSettings
from veca_edge.training.teachers import TeacherOutput


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_label_loss_is_cross_entropy_with_smoothing() -> None:
    logits, targets = noise(6, 5), torch.tensor([0, 1, 2, 3, 4, 0])
    expected = F.cross_entropy(logits, targets, label_smoothing=0.2)
    torch.testing.assert_close(label_loss(logits, torch.eye(5)[targets], 0.2), expected)


def test_photos_without_a_label_count_as_nothing() -> None:
    logits, rows = noise(4, 5), torch.eye(5)[:4].clone()
    rows[2:] = 0
    torch.testing.assert_close(label_loss(logits, rows, 0.1), label_loss(logits[:2], rows[:2], 0.1) / 2)


def test_projections_exist_only_where_widths_differ() -> None:
    said = TeacherOutput(3 + 2 * noise(50, 8), 3 + 2 * noise(50, 4, 6))
    said.features[..., 2] = 7  # a channel that holds no information
    distillation = Distillation(8, said)
    assert [name for name, _ in distillation.named_parameters()] == ["patches.linear.weight", "patches.linear.bias"]
    targets = distillation.targets(said, 4)
    torch.testing.assert_close(targets.embedding, said.embedding)  # as it is
    flat = targets.features.flatten(0, 1)
    torch.testing.assert_close(flat.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(flat.std(0), torch.tensor([1.0, 1, 0, 1, 1, 1]), atol=1e-5, rtol=0)
    assert not distillation.targets(TeacherOutput(noise(1, 8), noise(1, 4, 6)), 4).features[..., 2].any()


@pytest.mark.parametrize("patches", [4, 16, 36])
def test_grids_are_resized_without_a_shift(patches: int) -> None:
    def ramp(side: int) -> Tensor:
        values = ((torch.arange(side) + 0.5) / side).expand(side, side)
        return torch.stack((values, values.T), -1).reshape(1, side * side, 2)

    torch.testing.assert_close(resize_grid(ramp(8), patches), ramp(int(patches**0.5)), atol=0.07, rtol=0)


def test_a_student_that_says_the_same_has_nothing_to_learn() -> None:
    said, other = (
        TeacherOutput(noise(3, 8, seed=seed), noise(3, 4, 6, seed=seed), noise(3, 5, seed=seed)) for seed in (0, 1)
    )
    settings, learned = LossSettings(labels=0, soft_labels=1), Learned(said.logits, said.embedding, said.features)
    terms, different = (compute_losses(learned, torch.zeros(3, 5), taught, settings) for taught in (said, other))
    assert set(terms) == {"embedding", "patches", "patches_mse", "soft_labels"}
    torch.testing.assert_close(torch.stack(list(terms.values())), torch.zeros(4), atol=1e-6, rtol=0)
    assert all(value > 0.1 for value in different.values())
    torch.testing.assert_close(total(different, settings), torch.stack(list(different.values())).sum())


def test_each_term_has_its_weight() -> None:
    said = TeacherOutput(noise(3, 8), noise(3, 4, 6))
    learned = Learned(noise(3, 5), noise(3, 8, seed=2), noise(3, 4, 6, seed=2))
    settings = LossSettings(labels=2, embedding=3, patches=0, patches_mse=5)
    terms = compute_losses(learned, torch.eye(5)[:3], said, settings)
    expected = 2 * terms["labels"] + 3 * terms["embedding"] + 5 * terms["patches_mse"]
    torch.testing.assert_close(total(terms, settings), expected)
    assert "patches" not in terms
    nothing = LossSettings(labels=0)
    with pytest.raises(VecaError, match=r"nothing to learn from the photos of --data: set loss\.labels above 0"):
        total(compute_losses(learned, torch.eye(5)[:3], None, nothing), nothing)


def test_gradients_reach_the_student_through_both_projections() -> None:
    distillation = Distillation(8, TeacherOutput(noise(9, 12), noise(9, 4, 6)))
    output = VecaOutput(noise(3, 8).requires_grad_(), noise(3, 4, 8).requires_grad_())
    learned = Learned(noise(3, 5), *distillation(output))
    terms = compute_losses(learned, torch.zeros(3, 5), TeacherOutput(noise(3, 12), noise(3, 4, 6)), LossSettings())
    total(terms, LossSettings()).backward()
    assert output.embedding.grad.any()
    assert output.features.grad.any()
