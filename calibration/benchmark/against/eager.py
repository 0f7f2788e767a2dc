"""Eager PyTorch: what a checkpoint runs in as it comes, and the reference for what all others compute."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from veca_edge.calibration.benchmark.against.baseline import Baseline, Call, Output, Source, silent
from veca_edge.calibration.benchmark.target import Input
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.veca import Veca


class FixedCores(nn.Module):  # type: ignore[misc]
    """The model at one core budget: images to a pair of tensors, which is what exporters take."""

    def __init__(self, model: Veca, cores: int) -> None:
        super().__init__()
        self.model, self.cores = model, cores

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(images, self.cores)
        return output.embedding, output.features


def normalised(checkpoint: Checkpoint, image: NDArray[np.uint8]) -> Tensor:
    """uint8 (H, W, 3) to the model's input (1, 3, H, W), contiguous."""
    mean, std = (torch.tensor(checkpoint.preprocessing[name])[:, None, None] for name in ("mean", "std"))
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    return ((pixels - mean) / std)[None].contiguous()


def forward(module: Any, images: Tensor) -> Output:
    """A forward pass in inference mode."""
    with torch.inference_mode():
        embedding, features = module(images)
        return embedding[0].numpy(), features[0].numpy()


def reference(checkpoint: Checkpoint, threads: int) -> Baseline:
    """The checkpoint in float32, nothing but the forward pass: the comparison favours PyTorch."""
    torch.set_num_threads(threads)
    model = checkpoint.build()

    def prepare(given: Input, cores: int) -> Call:
        return partial(forward, FixedCores(model, cores), normalised(checkpoint, given.fitted))

    return Baseline("torch", "fp32", "eager PyTorch", prepare)


def baselines(source: Source) -> list[Baseline]:
    """In float32, and with PyTorch's dynamic quantization of the linear layers."""
    with silent():  # it is said to be about to move to another package
        model = torch.ao.quantization.quantize_dynamic(source.checkpoint.build(), {nn.Linear}, dtype=torch.qint8)

    def prepare(given: Input, cores: int) -> Call:
        return partial(forward, FixedCores(model, cores), normalised(source.checkpoint, given.fitted))

    how = "eager PyTorch, quantize_dynamic: linear layers in int8, a scale per layer"
    return [reference(source.checkpoint, source.threads), Baseline("torch", "int8", how, prepare)]
