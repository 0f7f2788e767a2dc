"""What every report says of the model, the machine and the conditions, whatever was measured."""

from __future__ import annotations

from dataclasses import dataclass

from veca_edge.calibration.benchmark.machine import Machine


@dataclass(frozen=True)
class Measured:
    """A model file that was measured on a machine.

    Attributes:
        name: of the model, for people.
        quantization: of the model file.
        random_weights: whether the weights mean nothing.
        file_bytes: size of the model file.
        weight_bytes: of them, the weights.
        max_patches: most that the file takes.
        seed: of random weights and random pixels.
        digests: SHA-256, hexadecimal, of what was measured and of what it looked at, by name.
        machine: what it ran on.
        threads: of each engine.
        other_work: processors' worth of work by others meanwhile, None if unknown.
    """

    name: str
    quantization: str
    random_weights: bool
    file_bytes: int
    weight_bytes: int
    max_patches: int
    seed: int
    digests: dict[str, str]
    machine: Machine
    threads: int
    other_work: float | None
