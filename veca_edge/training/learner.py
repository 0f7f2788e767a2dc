"""The modules that are trained, and the average of their weights that becomes the checkpoint."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from veca_edge.image.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import Head, Veca, VecaOutput, take_rows
from veca_edge.training.dense import DenseData, DenseLayer
from veca_edge.training.losses import Distillation, Learned, compute_losses
from veca_edge.training.settings import LossSettings, OptimizerSettings
from veca_edge.training.teachers import TeacherOutput


class Classifier(nn.Module):  # type: ignore[misc]
    """A VECA model, its head, and perhaps a dense head: what a checkpoint holds."""

    def __init__(self, config: VecaConfig, classes: int, masks: DenseData | None = None) -> None:
        super().__init__()
        self.veca = Veca(config)
        self.head = Head(config.feature_dim, classes)
        self.dense = None if masks is None else DenseLayer(config.feature_dim, masks.task, masks.train)

    def forward(self, images: Tensor, cores: int, kept: Tensor | None = None) -> tuple[VecaOutput, Tensor]:
        output = self.veca(images, cores, kept)
        return output, self.head(output)

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, labels: tuple[str, ...], masks: DenseData | None = None
    ) -> Classifier:
        """A copy of a checkpoint's weights; its heads are included if they are for the same labels and task."""
        made = cls(checkpoint.config, len(labels), masks)
        made.veca.load_state_dict(checkpoint.state)
        if checkpoint.head is not None and checkpoint.labels == labels:
            made.head.linear.load_state_dict(checkpoint.head)
        for head in checkpoint.dense:
            if made.dense is not None and made.dense.task == head.task:
                made.dense.load(head)
        return made

    def to_checkpoint(self, labels: tuple[str, ...], image_size: int) -> Checkpoint:
        """A checkpoint of the weights as they are, for images of that many pixels."""
        preprocessing: dict[str, Any] = {
            "image_size": image_size,
            "fit": "crop",
            "mean": list(IMAGENET_MEAN),
            "std": list(IMAGENET_STD),
        }
        state = {name: value.detach().float().cpu() for name, value in self.veca.state_dict().items()}
        head = {name: value.detach().float().cpu() for name, value in self.head.linear.state_dict().items()}
        dense = () if self.dense is None else (self.dense.head(),)
        return Checkpoint(self.veca.config, state, head, labels, preprocessing, dense)


class Learner(nn.Module):  # type: ignore[misc]
    """A classifier, the projections to a teacher if there is one, and the losses.

    One forward pass leads from images to losses, as DistributedDataParallel requires.
    """

    def __init__(self, classifier: Classifier, distillation: Distillation | None, settings: LossSettings) -> None:
        super().__init__()
        self.classifier = classifier
        self.distillation = distillation
        self._settings = settings

    def forward(
        self,
        images: Tensor,
        cores: int,
        labels: Tensor | None,
        taught: TeacherOutput | None,
        kept: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The terms of the loss by name, unweighted.

        Args:
            images: float (B, 3, H, H), normalised.
            cores: active cores.
            labels: (B, K), see `compute_losses`.
            taught: the teacher's answers to the images, from `ask`, or None without a teacher.
            kept: int64 (B, n), the patches that the student sees, or None for all.
            masks: (B, s, s), targets of the dense head: then it alone learns from these images.
        """
        if masks is not None:
            assert self.classifier.dense is not None  # who has targets has a head
            return {"masks": self.classifier.dense.loss(self.classifier.veca(images, cores).features, masks)}
        assert labels is not None
        output, logits = self.classifier(images, cores, kept)
        if self.distillation is None or taught is None:
            return compute_losses(Learned(logits, None, None), labels, None, self._settings)
        learned = Learned(logits, *self.distillation(output))
        height, width = images.shape[2:]
        rows, columns = self.classifier.veca.config.patch_grid(height, width)
        targets = self.distillation.targets(taught, rows * columns)
        targets = targets._replace(features=take_rows(targets.features, kept))
        return compute_losses(learned, labels, targets, self._settings)


class Average:
    """An exponential moving average of a classifier's weights."""

    def __init__(self, classifier: Classifier, decay: float) -> None:
        self.classifier = deepcopy(classifier).eval().requires_grad_(False)
        self._decay = decay

    def update(self, classifier: Classifier, step: int) -> None:
        """Include the weights after step `step`, from 0; at first the average follows them more closely."""
        decay = min(self._decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.classifier.parameters()), list(classifier.parameters()), 1 - decay)


def make_optimizer(learner: Learner, settings: OptimizerSettings, dense_rate: float = 1.0) -> torch.optim.AdamW:
    """AdamW with weight decay for matrices only.

    Args:
        learner: whose parameters are trained.
        settings: of AdamW.
        dense_rate: learning rate of a dense head, relative to the others': in each group's "rate".
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, value in learner.named_parameters():
        groups.setdefault((_is_matrix(name, value), name.startswith("classifier.dense.")), []).append(value)
    made = [
        {"params": chosen, "weight_decay": settings.weight_decay * matrix, "rate": dense_rate if dense else 1.0}
        for (matrix, dense), chosen in sorted(groups.items(), key=lambda item: (not item[0][0], item[0][1]))
    ]
    betas = (settings.beta1, settings.beta2)
    fused = next(learner.parameters()).is_cuda
    return torch.optim.AdamW(made, lr=settings.lr, betas=betas, fused=fused)


def _is_matrix(name: str, parameter: Tensor) -> bool:
    # Core tokens and their coordinates have three dimensions, but are no matrices.
    return parameter.ndim >= 2 and "_chunks." not in name
