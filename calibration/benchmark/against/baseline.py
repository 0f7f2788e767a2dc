"""What a baseline is: a way to compute the same thing, prepared for one core budget and image size at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veca_edge.calibration.benchmark.target import Input
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.runtime.native import quiet

Output = tuple[NDArray[np.float32], NDArray[np.float32]]  # embedding (D',), features (N, D')
Call = Callable[[], Output]
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Source:
    """What baselines are made of.

    Attributes:
        checkpoint: the weights.
        quantization: of our model file.
        inputs: the image sizes that will be asked for.
        threads: for every runtime.
        folder: a place for exported models, as long as the baselines are used.
        note: receives what a reader of the report must know, such as something that is not installed.
    """

    checkpoint: Checkpoint
    quantization: str
    inputs: tuple[Input, ...]
    threads: int
    folder: Path
    note: Say


@dataclass(frozen=True, eq=False)
class Baseline:
    """One runtime at one precision.

    Attributes:
        runtime: as the user names it.
        precision: "fp32", "bf16", "int8", "int8 weights".
        how: how the model was made, for people.
        prepare: makes the model for one image and core budget, which may take minutes, and returns the call that is
            timed: a forward pass on a prepared input.
        same_weights: whether it computes what the checkpoint computes.
    """

    runtime: str
    precision: str
    how: str
    prepare: Callable[[Input, int], Call]
    same_weights: bool = True

    @property
    def name(self) -> str:
        """For people, and different for every baseline."""
        return f"{self.runtime} {self.precision}"


@contextmanager
def silent() -> Iterator[None]:
    """Keep exporters and quantizers from printing: progress on standard output, advice through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet(), redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
