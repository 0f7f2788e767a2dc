"""What is measured: a model file, made first if it does not exist yet, and the pictures it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.camera.preprocessing import Preprocessing
from veca_edge.errors import VecaError, require
from veca_edge.model.checkpoint import Checkpoint, default_checkpoint_path, read_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.runtime.manifest import Manifest
from veca_edge.runtime.modelfile import is_model_file, read_model_file

CLIP = "clip.mp4"
QUANTIZATIONS = ("int8", "fp32")

Image = NDArray[np.uint8]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        model: a model file or a checkpoint; None for the packaged model.
        random: a family name, to measure random weights of that size instead.
        checkpoint: what a model file was made from, for a comparison with PyTorch.
        quantize: "int8" or "fp32" where something is converted; None for int8.
        cores: budgets; () for all, None for the smallest and the largest.
        image_sizes: pixels; None for the model's own.
        against_torch: whether the checkpoint is needed.
    """

    model: Path | None = None
    random: str | None = None
    checkpoint: Path | None = None
    quantize: str | None = None
    cores: tuple[int, ...] | None = None
    image_sizes: tuple[int, ...] | None = None
    against_torch: bool = False


@dataclass(frozen=True, eq=False)
class Case:
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
class Subject:
    """A model file that is ready to be measured.

    Attributes:
        name: for people.
        path: the model file.
        manifest: what it is.
        checkpoint: the same weights before conversion, or None if not at hand.
        cores: budgets to measure, ascending.
        cases: image sizes to measure, ascending.
        picture: what the pictures are, for people.
    """

    name: str
    path: Path
    manifest: Manifest
    checkpoint: Checkpoint | None
    cores: tuple[int, ...]
    cases: tuple[Case, ...]
    picture: str


def prepare(request: Request, folder: Path, say: Say = lambda _: None) -> Subject:
    """Check a request, and convert what has to be converted.

    Args:
        request: what to measure.
        folder: a place for a converted file; must exist as long as the subject is used.
        say: receives one line of progress at a time.

    Raises:
        VecaError: contradicting options, an unknown family, a missing or damaged file, cores that are not
            offered, an image size that does not fit, or a comparison without a checkpoint.
    """
    _check(request)
    if request.random is not None:
        return _converted(_random_checkpoint(request.random), request, folder, say)
    if request.model is None:
        return _default(request, folder, say)
    if not request.model.exists():
        raise VecaError(f"{request.model}: no such file")
    if not is_model_file(request.model):
        return _converted(read_checkpoint(request.model), request, folder, say)
    if request.quantize is not None:
        raise VecaError(f"{request.model} is already converted: --quantize is for checkpoints and --random")
    if request.against_torch and request.checkpoint is None:
        raise VecaError("--against torch needs the model's checkpoint: give it with --checkpoint")
    return _from_file(request.model, request)


def _check(request: Request) -> None:
    if request.model is not None and request.random is not None:
        raise VecaError("give a model or --random, not both")
    if request.checkpoint is not None and request.model is None:
        raise VecaError("--checkpoint goes with a model file: without one the checkpoint is known")
    if request.quantize not in (None, *QUANTIZATIONS):
        raise VecaError(f"unknown quantization {request.quantize!r}: use {' or '.join(QUANTIZATIONS)}")
    for need in ("torch", "executorch"):
        require(need, "run")


def _default(request: Request, folder: Path, say: Say) -> Subject:
    """The packaged model as users run it, or converted anew where the options ask for something else."""
    from veca_edge.runtime.default import default_model_path

    checkpoint = read_checkpoint(default_checkpoint_path())
    if request.quantize is None:
        path = default_model_path(say)
        manifest = read_model_file(path).manifest
        cases, picture = _cases(request, manifest.preprocessing, manifest.patch_size)
        if cases[-1].patches <= manifest.max_patches:
            cores = choose_cores(request.cores, manifest.budgets)
            return Subject(path.name, path, manifest, checkpoint, cores, cases, picture)
    return _converted(checkpoint, request, folder, say)


def _from_file(path: Path, request: Request) -> Subject:
    manifest = read_model_file(path).manifest
    checkpoint = None
    if request.checkpoint is not None:
        checkpoint = read_checkpoint(request.checkpoint)
        if checkpoint.digest != manifest.source_digest:
            raise VecaError(f"{request.checkpoint} is not the checkpoint that {path} was made from")
    cores = choose_cores(request.cores, manifest.budgets)
    cases, picture = _cases(request, manifest.preprocessing, manifest.patch_size)
    if cases[-1].patches > manifest.max_patches:
        raise VecaError(
            f"{cases[-1].image_size} px are {cases[-1].patches} patches, {path} was made for "
            f"{manifest.max_patches}: use a smaller --image-size, or convert with --max-patches"
        )
    return Subject(path.name, path, manifest, checkpoint, cores, cases, picture)


def _converted(checkpoint: Checkpoint, request: Request, folder: Path, say: Say) -> Subject:
    from converters.executorch import DEFAULT_MAX_PATCHES, ConvertOptions, convert

    config, quantize = checkpoint.config, request.quantize or "int8"
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    # Everything that can be refused is refused before the conversion, which takes a while.
    cores = choose_cores(request.cores, config.budgets)
    cases, picture = _cases(request, preprocessing, config.patch_size)
    own = (preprocessing.image_size // config.patch_size) ** 2
    most = max(DEFAULT_MAX_PATCHES, own, cases[-1].patches)
    origin = "random weights" if checkpoint.path is None else checkpoint.path.name
    say(f"converting {config.family} ({origin}) to {quantize}")
    path = folder / f"{config.family}-{quantize}.pte"
    options: dict[str, Any] = {"quantize": quantize, "max_patches": most, "verify": False}
    file = convert(checkpoint, path, ConvertOptions(**options))
    name = f"VECA {config.family}, {origin}"
    return Subject(name, path, file.manifest, checkpoint, cores, cases, picture)


def _random_checkpoint(family: str) -> Checkpoint:
    config = VecaConfig.from_family(family)
    from veca_edge.model.checkpoint import default_preprocessing
    from veca_edge.model.veca import random_veca

    state = {name: value.detach() for name, value in random_veca(config).state_dict().items()}
    return Checkpoint(config, state, None, (), default_preprocessing(config.patch_size))


def choose_cores(asked: tuple[int, ...] | None, budgets: tuple[int, ...]) -> tuple[int, ...]:
    """The budgets to measure, ascending and each once (see `Request.cores`).

    Raises:
        VecaError: a budget that the model does not offer.
    """
    if asked is None:
        asked = (budgets[0], budgets[-1])
    for cores in asked:
        if cores not in budgets:
            raise VecaError(f"{cores} cores: this model offers {', '.join(map(str, budgets))}")
    return tuple(sorted(set(asked or budgets)))


def _cases(request: Request, preprocessing: Preprocessing, patch_size: int) -> tuple[tuple[Case, ...], str]:
    sizes = sorted(set(request.image_sizes or (preprocessing.image_size,)))
    frame = _clip_frame()
    cases = []
    for size in sizes:
        picture = noise(size) if frame is None else frame
        fitted = preprocessing.resize(picture, patch_size, size).image
        patches = (fitted.shape[0] // patch_size) * (fitted.shape[1] // patch_size)
        cases.append(Case(size, picture, fitted, patches))
    if frame is None:
        return tuple(cases), "random pixels at the model's size: OpenCV is not installed, nothing is resized"
    return tuple(cases), f"a {frame.shape[1]} x {frame.shape[0]} frame of the packaged clip"


def _clip_frame() -> Image | None:
    """The first frame of the packaged clip, or None without OpenCV."""
    if find_spec("cv2") is None:
        return None
    from veca_edge.camera.sources import open_source

    with (
        resources.as_file(resources.files("veca_edge.assets") / CLIP) as path,
        open_source(str(path)) as source,
    ):
        frame = source.read()
    return None if frame is None else frame.image


def noise(size: int) -> Image:
    """Random pixels, the same every time: uint8 (size, size, 3)."""
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
