"""The losses: of labels, and of a teacher's embedding, patch features and logits."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.model.veca import VecaOutput
from veca_edge.training.settings import LossSettings
from veca_edge.training.teachers import TeacherOutput

TERMS = ("labels", "embedding", "patches", "patches_mse", "soft_labels", "masks")  # as in LossSettings


class Learned(NamedTuple):
    """A student's output for a batch.

    Attributes:
        logits: (B, K).
        embedding: (B, E), its prediction of the teacher's embedding, or None without a teacher.
        patches: (B, N, F), its prediction of the teacher's patch features, or None.
    """

    logits: Tensor
    embedding: Tensor | None
    patches: Tensor | None


class Projection(nn.Module):  # type: ignore[misc]
    """From a student's vectors to a teacher's: the identity where the widths are equal, else learned.

    The target of a learned projection is the teacher's values standardised channel by channel, so that no channel
    weighs more than another, and a common offset (of values after a ReLU, say) does not make all directions alike.
    """

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__()
        self.linear = nn.Identity() if student == teacher else nn.Linear(student, teacher)
        self.register_buffer("mean", torch.zeros(teacher))
        self.register_buffer("scale", torch.ones(teacher))

    def forward(self, vectors: Tensor) -> Tensor:
        return self.linear(vectors)

    def fit(self, values: Tensor) -> None:
        """Compute the statistics of a sample of the teacher's values (..., width)."""
        if isinstance(self.linear, nn.Linear):
            flat = values.flatten(0, -2).float()
            self.mean.copy_(flat.mean(0))
            deviation = flat.std(0)
            # A constant channel holds no information: it stays at 0.
            self.scale.copy_(torch.where(deviation > 1e-6, 1 / deviation, 0))

    def target(self, values: Tensor) -> Tensor:
        """The teacher's values in the form that is predicted."""
        return (values - self.mean) * self.scale


class Distillation(nn.Module):  # type: ignore[misc]
    """Both projections; they are not part of the checkpoint."""

    def __init__(self, student: int, sample: TeacherOutput) -> None:
        """Args: student: D'. sample: the teacher's answers to some images, for widths and statistics."""
        super().__init__()
        self.embedding = Projection(student, sample.embedding.shape[-1])
        self.patches = Projection(student, sample.features.shape[-1])
        self.embedding.fit(sample.embedding)
        self.patches.fit(sample.features)

    def forward(self, output: VecaOutput) -> tuple[Tensor, Tensor]:
        return self.embedding(output.embedding), self.patches(output.features)

    def targets(self, said: TeacherOutput, patches: int) -> TeacherOutput:
        """The answers in the form that is predicted, on the student's grid of so many patches."""
        features = self.patches.target(resize_grid(said.features, patches))
        return TeacherOutput(self.embedding.target(said.embedding), features, said.logits)


def resize_grid(features: Tensor, patches: int) -> Tensor:
    """Features (B, N, F) of a square grid on another square grid: (B, patches, F)."""
    old, new = math.isqrt(features.shape[1]), math.isqrt(patches)
    if old == new:
        return features
    grid = features.transpose(1, 2).unflatten(2, (old, old))
    resized = F.interpolate(grid, (new, new), mode="bilinear", antialias=True, align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def compute_losses(
    learned: Learned, labels: Tensor, taught: TeacherOutput | None, settings: LossSettings
) -> dict[str, Tensor]:
    """Each term with a weight above 0, not yet weighted, a mean over the batch.

    Args:
        learned: the student's output.
        labels: (B, K), each row's weights of the labels: they sum to 1, or to less where a label is unknown.
        taught: the teacher's answers from `Distillation.targets`, or None.
        settings: the weights.
    """
    terms = {"labels": label_loss(learned.logits, labels, settings.label_smoothing)} if settings.labels else {}
    if taught is None or learned.embedding is None or learned.patches is None:
        return terms
    patches = learned.patches.float()
    if settings.embedding:
        terms["embedding"] = cosine_loss(learned.embedding.float(), taught.embedding)
    if settings.patches:
        terms["patches"] = cosine_loss(patches, taught.features)
    if settings.patches_mse:
        terms["patches_mse"] = F.mse_loss(patches, taught.features)
    if settings.soft_labels and taught.logits is not None:
        log = learned.logits.float().log_softmax(-1)
        terms["soft_labels"] = F.kl_div(log, taught.logits.log_softmax(-1), log_target=True, reduction="batchmean")
    return terms


def total(terms: dict[str, Tensor], settings: LossSettings) -> Tensor:
    """The weighted sum; VecaError if there is nothing to add up."""
    if not terms:
        raise VecaError(
            "there is nothing to learn from the photos of --data: set loss.labels above 0, or, with a teacher, the "
            "weight of something that it says"
        )
    return torch.stack([getattr(settings, name) * value for name, value in terms.items()]).sum()


def label_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with label smoothing; rows without a label count as 0: every photo has the same weight."""
    known = labels.sum(-1, keepdim=True)
    smooth = labels * (1 - smoothing) + known * smoothing / labels.shape[-1]
    return -(smooth * logits.float().log_softmax(-1)).sum(-1).mean()


def cosine_loss(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine of vectors along the last dimension, mean over all."""
    return 1 - F.cosine_similarity(a, b, dim=-1).mean()
