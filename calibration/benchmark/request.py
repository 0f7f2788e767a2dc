"""What to measure of a model, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from veca_edge.converters.recipes import Precision
from veca_edge.errors import VecaError

ROUNDS = 30
STREAM_SIZE = 256  # pixels
# Options that have no effect beside a pause-free run or streams, and options that have one with streams only.
OF_ROUNDS = ("against", "checkpoint", "rounds")
OF_STREAMS = ("patch_budget", "frames")


@dataclass(frozen=True)
class BenchRequest:
    """What to measure: latency in interleaved rounds, or with `minutes` over time, or with `stream` of streams.

    Attributes:
        model: a model file or a checkpoint; None for the packaged model.
        random: a family name, to measure random weights of that size instead.
        checkpoint: what a model file was made from, for `against`.
        quantize: of what has to be converted; None for int8.
        cores: core budgets; () for all, None for the smallest and the largest, with `minutes` for the largest.
        image_size: pixels; None for the model's own, with `stream` for 256.
        against: baselines, names of `veca_edge.calibration.benchmark.against.runtimes.RUNTIMES`.
        rounds: timings per configuration; None for 30.
        minutes: how long to run without a pause.
        stream: video files, "synthetic" for all synthetic streams, "synthetic:pan" for one.
        patch_budget: for streams, the most patches per frame; None among them for no limit.
        frames: for streams, the most frames per clip.
        threads: for all engines; None for the number of big cores.
        plot: where a picture goes, None for none.

    Raises:
        VecaError: options that contradict each other.
    """

    model: Path | None = None
    random: str | None = None
    checkpoint: Path | None = None
    quantize: Precision | None = None
    cores: tuple[int, ...] | None = None
    image_size: tuple[int, ...] | None = None
    against: tuple[str, ...] = ()
    rounds: int | None = None
    minutes: float | None = None
    stream: tuple[str, ...] = ()
    patch_budget: tuple[int | None, ...] = ()
    frames: int | None = None
    threads: int | None = None
    plot: Path | None = None

    def __post_init__(self) -> None:
        if self.model is not None and self.random is not None:
            raise VecaError("give a model or --random, not both")
        if self.stream and self.minutes is not None:
            raise VecaError("give --minutes or --stream, not both")
        self._refuse_idle_options()
        if self.checkpoint is not None and self.model is None:
            raise VecaError("--checkpoint needs a model file: leave it out, or name the file made from it")
        if self.checkpoint is not None and not self.against:
            raise VecaError("--checkpoint has an effect with --against only: leave it out")
        if self.stream and self.image_size is not None and len(self.image_size) > 1:
            raise VecaError("--stream measures one image size at a time: give one --image-size")

    def _refuse_idle_options(self) -> None:
        mode = "--stream" if self.stream else "--minutes" if self.minutes is not None else None
        refused = dict.fromkeys(OF_ROUNDS, f"no effect with {mode}") if mode else {}
        refused |= {} if self.stream else dict.fromkeys(OF_STREAMS, "an effect with --stream only")
        for name, reason in refused.items():
            if getattr(self, name) not in (None, ()):
                raise VecaError(f"--{name.replace('_', '-')} has {reason}: leave it out")

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Image sizes in pixels, None for the model's own."""
        return (STREAM_SIZE,) if self.stream and self.image_size is None else self.image_size
