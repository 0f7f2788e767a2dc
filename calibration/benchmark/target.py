"""What is measured: a model file, made first if it does not exist yet, and the pictures that it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from veca_edge.arrays import Image
from veca_edge.calibration.benchmark.request import BenchRequest
from veca_edge.errors import VecaError, require
from veca_edge.files import existing
from veca_edge.image.clip import clip_frames
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, default_preprocessing, read_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import is_model_file, read_model_file
from veca_edge.runtime.machine import Machine
from veca_edge.runtime.native import quiet

SEED = 0  # of random weights, and of random pixels

Say = Callable[[str], None]
DefaultModel = Callable[[Say], Path]


@dataclass(frozen=True, eq=False)
class Input:
    """One image size.

    Attributes:
        image_size: pixels, as the user gives it.
        picture: uint8 (H, W, 3), RGB: what a whole call is given.
        fitted: uint8 (H', W', 3), RGB: the model's input made from it.
        patches: in `fitted`.
    """

    image_size: int
    picture: Image
    fitted: Image
    patches: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model is to compute.

    Attributes:
        cores: budgets to measure, ascending.
        inputs: by image size, ascending.
        picture: what the pictures are, for people.
    """

    cores: tuple[int, ...]
    inputs: tuple[Input, ...]
    picture: str

    @property
    def patches(self) -> int:
        """Of the largest input."""
        return self.inputs[-1].patches


@dataclass(frozen=True, eq=False)
class Target:
    """A model file that is ready to be measured.

    Attributes:
        name: for people.
        path: the model file.
        manifest: what it is.
        checkpoint: the same weights before conversion, or None if not at hand.
        plan: what to compute.
    """

    name: str
    path: Path
    manifest: Manifest
    checkpoint: Checkpoint | None
    plan: Plan

    def facts(self, machine: Machine, threads: int, other_work: float | None) -> dict[str, Any]:
        """What every report says of a measurement, see `Measured`."""
        return {
            "name": self.name,
            "quantization": self.manifest.quantization,
            "random_weights": self.checkpoint is not None and self.checkpoint.path is None,
            "file_bytes": self.path.stat().st_size,
            "weight_bytes": self.manifest.weight_bytes,
            "max_patches": self.manifest.max_patches,
            "seed": SEED,
            "digests": self.digests,
            "machine": machine,
            "threads": threads,
            "other_work": other_work,
        }

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the program, of the checkpoint if that was a file, and of the fitted pictures together."""
        pictures = hashlib.sha256()
        for one in self.plan.inputs:
            pictures.update(np.ascontiguousarray(one.fitted).tobytes())
        found = {"program": self.manifest.program_digest, "checkpoint": self.manifest.source_digest}
        return {name: digest for name, digest in found.items() if digest} | {"pictures": pictures.hexdigest()}


def prepare(
    request: BenchRequest, folder: Path, say: Say = lambda _: None, *, default: DefaultModel | None = None
) -> Target:
    """Check a request against the model, and convert what has to be converted.

    Args:
        request: what to measure.
        folder: a place for a converted file; must exist as long as the target is used.
        say: receives one line of progress at a time.
        default: gives the packaged model's file; without it the packaged checkpoint is converted.

    Raises:
        VecaError: an unknown family, a missing or damaged file, cores that are not offered, an image size that does
            not fit, or baselines without a checkpoint.
    """
    for need in ("torch", "executorch"):
        require(need, "run")
    if request.random is not None:
        return _random(request.random, request, folder, say)
    if request.model is None:
        return _default(request, folder, default, say)
    if not is_model_file(existing(request.model)):
        return _from_checkpoint(read_checkpoint(request.model), request, folder, say)
    if request.quantize is not None:
        raise VecaError(f"{request.model} is already converted: --quantize is for checkpoints and --random")
    if request.against and request.checkpoint is None:
        raise VecaError("--against needs the model's checkpoint: give it with --checkpoint")
    return _from_file(request.model, request)


def _default(request: BenchRequest, folder: Path, default: DefaultModel | None, say: Say) -> Target:
    """The packaged model as users run it, or converted again where the options ask for something else."""
    checkpoint = read_checkpoint(default_checkpoint_path())
    if request.quantize is None and default is not None:
        path = default(say)
        manifest = read_model_file(path).manifest
        plan = _plan(request, manifest.budgets, manifest.patch_size, manifest.preprocessing)
        if plan.patches <= manifest.max_patches:
            return Target(path.name, path, manifest, checkpoint, plan)
    return _from_checkpoint(checkpoint, request, folder, say)


def _from_file(path: Path, request: BenchRequest) -> Target:
    manifest = read_model_file(path).manifest
    checkpoint = None
    if request.checkpoint is not None:
        checkpoint = read_checkpoint(request.checkpoint)
        if checkpoint.digest != manifest.source_digest:
            raise VecaError(f"{request.checkpoint} is not the checkpoint that {path} was made from")
    plan = _plan(request, manifest.budgets, manifest.patch_size, manifest.preprocessing)
    if plan.patches > manifest.max_patches:
        raise VecaError(
            f"{plan.inputs[-1].image_size} px are {plan.patches} patches, {path} was made for "
            f"{manifest.max_patches}: use a smaller --image-size, or convert with --max-patches"
        )
    return Target(path.name, path, manifest, checkpoint, plan)


def _random(family: str, request: BenchRequest, folder: Path, say: Say) -> Target:
    config = VecaConfig.from_family(family)
    preprocessing = default_preprocessing(config.patch_size)
    # Everything that can be refused is refused before the weights are made, which takes a while.
    _plan(request, config.budgets, config.patch_size, Preprocessing.from_dict(preprocessing))
    state = {name: value.detach() for name, value in random_veca(config, SEED).state_dict().items()}
    return _from_checkpoint(Checkpoint(config, state, None, (), preprocessing), request, folder, say)


def _from_checkpoint(checkpoint: Checkpoint, request: BenchRequest, folder: Path, say: Say) -> Target:
    with quiet():
        from veca_edge.converters.executorch.convert import ConvertOptions, convert
    from veca_edge.converters.recipes import ready_recipe
    from veca_edge.modelfile.manifest import DEFAULT_MAX_PATCHES

    config, quantize = checkpoint.config, request.quantize or "int8"
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    plan = _plan(request, config.budgets, config.patch_size, preprocessing)
    own = (preprocessing.image_size // config.patch_size) ** 2
    origin = "random weights" if checkpoint.path is None else checkpoint.path.name
    say(f"converting {config.family} ({origin}) to {quantize}")
    path = folder / f"{config.family}-{quantize}.pte"
    most = max(DEFAULT_MAX_PATCHES, own, plan.patches)
    manifest = convert(checkpoint, path, ConvertOptions(recipe=ready_recipe(quantize), max_patches=most))
    return Target(f"VECA {config.family}, {origin}", path, manifest, checkpoint, plan)


def _plan(request: BenchRequest, budgets: tuple[int, ...], patch_size: int, preprocessing: Preprocessing) -> Plan:
    """What to compute, checked against the model."""
    frame, inputs = _clip_frame(), []
    cores = choose_cores(request, budgets)
    for size in sorted(set(request.sizes or (preprocessing.image_size,))):
        picture = noise(size) if frame is None else frame
        fitted = preprocessing.resize(picture, patch_size, size).image
        patches = (fitted.shape[0] // patch_size) * (fitted.shape[1] // patch_size)
        inputs.append(Input(size, picture, fitted, patches))
    description = "random pixels at the model's size: OpenCV is not installed, so nothing is resized"
    if frame is not None:
        description = f"a {frame.shape[1]} x {frame.shape[0]} frame of the packaged clip"
    return Plan(cores, tuple(inputs), description)


def choose_cores(request: BenchRequest, budgets: tuple[int, ...]) -> tuple[int, ...]:
    """The budgets to measure of those that a model offers, ascending and each once.

    Raises:
        VecaError: a budget that the model does not offer.
    """
    asked = request.cores
    if asked is None:
        asked = (budgets[0], budgets[-1]) if request.minutes is None else (budgets[-1],)
    for cores in asked:
        if cores not in budgets:
            raise VecaError(f"{cores} cores: this model offers {', '.join(map(str, budgets))}")
    return tuple(sorted(set(asked or budgets)))


def _clip_frame() -> Image | None:
    """The first frame of the packaged clip, or None without OpenCV."""
    if find_spec("cv2") is None:
        return None
    return clip_frames(0, 1)[0]


def noise(size: int) -> Image:
    """Random pixels, the same every time: uint8 (size, size, 3)."""
    return np.random.default_rng(SEED).integers(0, 256, (size, size, 3), dtype=np.uint8)
