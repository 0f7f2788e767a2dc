"""A model that is ready to run: `veca_edge.load`."""

from __future__ import annotations

import warnings
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, cast, get_args

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError, VecaWarning, require, shown
from veca_edge.files import is_checkpoint, is_package, is_regular, is_there
from veca_edge.governor.quality import QualityTable
from veca_edge.image.preprocessing import Box, Preprocessing
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, Certainty
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.means import Means
from veca_edge.modelfile.pte import Head, ModelFile, is_model_file, read_model_file
from veca_edge.numbers import counted, whole
from veca_edge.runtime.dense import DenseResult, DenseResults, dense_result
from veca_edge.runtime.engines.engine import ComputeUnits, Encoded, Engine
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming.cache import CacheType
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.runtime.streaming.stream import StepEngine, Stream
from veca_edge.runtime.turns import Turns

if TYPE_CHECKING:
    from veca_edge.model.checkpoint import Checkpoint


class Model:
    """One set of weights that runs at every core budget and image size.

    Calls and streams from several threads take turns.

    Attributes:
        certainty: how sure it must be of a label before `Result.sure` is true; may be set, for example to
            `model.certainty.at(0.8)`.
        turns: to be held while the model computes and the engine's answer is copied.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        preprocessing: Preprocessing,
        patch_size: int,
        budgets: tuple[int, ...],
        labels: tuple[str, ...] = (),
        head: Head | None = None,
        quality: QualityTable | None = None,
        digest: str = "",
        tasks: tuple[DenseTask, ...] = (),
        dense: tuple[DenseHead, ...] = (),
        certainty: Certainty | None = None,
        means: Means | None = None,
        source_digest: str = "",
    ) -> None:
        """Args:
        quality: what each run configuration is worth, None if unknown.
        digest: SHA-256 of the file, hexadecimal.
        tasks: what the dense heads say, those that the engine computes as well.
        dense: the dense heads that are computed here.
        certainty: as the attribute; None for the default.
        means: what photos have in common, for `Gallery`; None if unknown.
        source_digest: SHA-256 of the checkpoint, hexadecimal; "" if unknown.
        """
        self.name = name
        self.quality = quality
        self.digest = digest
        self.means = means
        self.source_digest = source_digest
        self.engine = engine
        self.preprocessing = preprocessing
        self.patch_size = patch_size
        self.budgets = budgets
        self.labels = labels
        self.tasks = tasks
        self.dense_heads = dense
        self._tasks = {task.name: task for task in tasks}
        self._dense_heads = {head.task.name: head for head in dense}
        self.certainty = DEFAULT_CERTAINTY if certainty is None else certainty
        self._head = head
        self._closed = False
        self.turns = Turns()

    def __repr__(self) -> str:
        """<Model everyday, 153 labels, 8 to 64 cores, 256 px, executorch>"""
        if self.closed:
            return f"<Model {self.name}, closed>"
        labels = f"{counted(len(self.labels), 'label')}, " if self.labels else ""
        cores = f"{self.budgets[0]} to {self.budgets[-1]}" if len(self.budgets) > 1 else f"{self.budgets[0]}"
        return f"<Model {self.name}, {labels}{cores} cores, {self.preprocessing.image_size} px, {self.engine.name}>"

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, image: Image, cores: int | None = None, image_size: int | None = None) -> Result:
        """Run the model on an image.

        Args:
            image: uint8 (H, W, 3), RGB, any size; `preprocessing` says how it is fitted to the model.
            cores: one of `budgets`; None for the largest. Changing it from call to call costs nothing.
            image_size: pixels in place of the preprocessing's, a multiple of the patch size.

        Raises:
            VecaError: not such an image, a budget the model does not offer, an impossible image size, or a model
                that is closed.
        """
        with self.turns:
            return self._run(image, cores, image_size)

    def _run(self, image: Image, cores: int | None, image_size: int | None) -> Result:
        start = perf_counter()
        self.check_open()
        cores = self.check_budget(cores)
        fitted = self.preprocessing.resize(image, self.patch_size, image_size)
        height, width = fitted.image.shape[:2]
        grid = (height // self.patch_size, width // self.patch_size)
        encoded = self.engine.encode(fitted.image, cores)
        return Result(
            embedding=encoded.embedding,
            features=encoded.features.reshape(*grid, -1),
            core_attention=None if encoded.core_attention is None else encoded.core_attention.reshape(*grid, -1),
            logits=self.logits(encoded.embedding, encoded.features) if encoded.logits is None else encoded.logits,
            labels=self.labels,
            certainty=self.certainty,
            cores=cores,
            image_size=(height, width),
            crop=fitted.crop,
            dense=self._dense(encoded, grid, fitted.crop),
            latency=perf_counter() - start,
        )

    def _dense(self, encoded: Encoded, grid: tuple[int, int], crop: Box) -> DenseResults:
        """What the dense heads say, whether they are in the engine's program or not."""

        def say(name: str) -> DenseResult:
            inside = encoded.dense.get(name)
            outputs = self._dense_heads[name].outputs(encoded.features) if inside is None else inside
            return dense_result(self._tasks[name], outputs, grid, crop)

        return DenseResults(self._tasks, say)

    @property
    def certainty(self) -> Certainty:
        """See the class."""
        return self._certainty

    @certainty.setter
    def certainty(self, value: Certainty) -> None:
        if not isinstance(value, Certainty):
            raise VecaError(f"certainty {shown(value)}: use one such as `model.certainty.at(0.8)`")
        self._certainty = value

    @property
    def closed(self) -> bool:
        """Whether `close` was called: then nothing runs any more."""
        return self._closed

    @property
    def streams(self) -> bool:
        """Whether `stream` works: whether the engine can compute some of an image's patches."""
        return hasattr(self.engine, "step")

    def stream(
        self,
        cores: int | None = None,
        image_size: int | None = None,
        change: ChangeSettings | None = None,
        cache: CacheType = "float32",
    ) -> Stream:
        """A stream: frame after frame, of which only the changed patches are computed.

        Args:
            cores: as in a call; the stream's `cores` can be set later.
            image_size: as in a call.
            change: what counts as change, and how many patches may be computed per frame.
            cache: how keys and values are remembered; "float16" halves their memory and costs a conversion of the
                whole cache per step.

        Raises:
            VecaError: a budget the model does not offer, or another cache type, or a checkpoint or Core ML package
                (streams need an ExecuTorch file).
        """
        self.check_streams()
        if not isinstance(cache, str) or cache not in get_args(CacheType):
            raise VecaError(f"cache {shown(cache)}: use {' or '.join(get_args(CacheType))}")
        engine, settings = cast(StepEngine, self.engine), ChangeSettings() if change is None else change
        return Stream(self, engine, self.check_budget(cores), image_size, settings, cache)

    def check_streams(self) -> None:
        """Raise a VecaError unless this model can stream, and so be governed."""
        self.check_open()
        if not self.streams:
            raise VecaError(
                f"{self.name} cannot stream, since it does not come from a .pte file: convert the checkpoint with "
                "`veca-edge convert` and load the file that it writes"
            )

    def check_open(self) -> None:
        """Raise a VecaError if the model was closed."""
        if self.closed:
            raise VecaError(f"{self.name} is closed: load the model again")

    def check_budget(self, cores: int | None) -> int:
        """`cores` if the model offers it, the largest budget for None, else VecaError."""
        return checked_budget(cores, self.budgets)

    def logits(self, embedding: Float, features: Float) -> Float | None:
        """Logits (K,) for an embedding (D',) and features (..., D'), or None without a head."""
        return None if self._head is None else self._head.logits(embedding, features)

    def close(self) -> None:
        """Give the engine's memory back, after the call that is being made; the model cannot be used any more."""
        with self.turns:
            if not self._closed:
                self._closed = True
                self.engine.close()


def checked_budget(cores: int | None, budgets: tuple[int, ...]) -> int:
    """`cores` if it is one of these budgets, the last of them for None, else VecaError."""
    number = budgets[-1] if cores is None else whole(cores, 1)
    if number is None or number not in budgets:
        raise VecaError(f"{shown(cores)} cores: this model offers {', '.join(map(str, budgets))}")
    return number


def load(path: str | Path, *, threads: int | None = None, compute_units: ComputeUnits = "all") -> Model:
    """Open a model: a file or package made by `veca-edge convert`, or a checkpoint, which runs in eager PyTorch.

    A Core ML package (`.mlpackage`) runs in Core ML on a Mac. Elsewhere it is interpreted in numpy, which is slow
    and meant for checking; a `VecaWarning` says so.

    Args:
        path: the file.
        threads: worker threads, a setting of the whole process that cannot change while a model file is open; None
            for those of the open ones, else the number of big cores. Not for packages.
        compute_units: where Core ML may compute on a Mac: "all", "cpu_only", "cpu_and_gpu" or "cpu_and_ne". Only
            for packages.

    Raises:
        VecaError: a missing, damaged or foreign file, other threads than those of the models that are open, or a
            package that its engine needs is not installed.
    """
    if not isinstance(path, (str, Path)) or not str(path):
        raise VecaError(f"cannot load {shown(path)}: give the path of a model file, a package or a checkpoint")
    path = Path(path)
    if not is_there(path):
        raise VecaError(f"{path}: no such file")
    if is_package(path):
        return _from_package(path, threads, compute_units)
    if not isinstance(compute_units, str) or compute_units != "all":
        raise VecaError(f"{path}: compute units are for Core ML packages: leave them out")
    return _from_file(read_model_file(path), threads) if is_model_file(path) else _from_checkpoint(path, threads)


def looks_like_model(path: Path) -> bool:
    """Whether a path names what `load` opens: a model file, a package, or a checkpoint (a zip archive)."""
    if not is_there(path):
        return False
    return is_package(path) or is_model_file(path) or (is_regular(path) and is_checkpoint(path))


def assembled(
    manifest: Manifest,
    engine: Engine,
    head: Head | None = None,
    digest: str = "",
    dense: tuple[DenseHead, ...] = (),
) -> Model:
    """A model from what its file says and an engine that runs it, such as one of your own.

    Args:
        head: the classifier, if it is not in the engine's program.
        digest, dense: as in `Model`.

    Raises:
        VecaError: the quality table is damaged.
    """
    try:
        quality = QualityTable.of_file(manifest.quality, manifest.budgets)
    except VecaError as error:
        raise VecaError(f"{manifest.name}: {error}: convert the checkpoint again") from None
    return Model(
        name=manifest.name,
        engine=engine,
        preprocessing=manifest.preprocessing,
        patch_size=manifest.patch_size,
        budgets=manifest.budgets,
        labels=manifest.labels,
        head=head,
        quality=quality,
        digest=digest,
        tasks=manifest.tasks,
        dense=dense,
        certainty=manifest.certainty,
        means=manifest.means,
        source_digest=manifest.source_digest,
    )


def _from_file(file: ModelFile, threads: int | None) -> Model:
    from veca_edge.runtime.engines.executorch import ExecutorchEngine
    from veca_edge.runtime.trust import ensure_harmless

    ensure_harmless(file)
    return assembled(file.manifest, ExecutorchEngine(file, threads), file.head, file.digest, file.dense)


def _from_package(path: Path, threads: int | None, compute_units: ComputeUnits) -> Model:
    from veca_edge.modelfile.mlpackage import read_package_file
    from veca_edge.runtime.engines.coreml import CoreMLEngine

    if threads is not None:
        raise VecaError(f"{path}: Core ML chooses its threads itself: leave the threads out")
    file = read_package_file(path)
    engine = CoreMLEngine(file, compute_units)
    if engine.interprets:
        warnings.warn(
            f"{path}: there is no Core ML on this system, so the package runs in numpy: slow, for checking only; "
            "for speed convert the checkpoint with --target executorch",
            VecaWarning,
            stacklevel=3,
        )
    return assembled(file.manifest, engine, digest=file.manifest.program_digest)


def _from_checkpoint(path: Path, threads: int | None) -> Model:
    require("torch", "run")
    from veca_edge.model.checkpoint import read_checkpoint

    return of_checkpoint(read_checkpoint(path), path.stem, threads)


def of_checkpoint(checkpoint: Checkpoint, name: str, threads: int | None = None) -> Model:
    """A model that runs a checkpoint in eager PyTorch.

    Args:
        checkpoint: what to run.
        name: for people.
        threads: as in `load`.
    """
    from veca_edge.runtime.engines.eager import TorchEngine

    head = checkpoint.head
    return Model(
        name=name,
        engine=TorchEngine(checkpoint, threads),
        preprocessing=Preprocessing.from_dict(checkpoint.preprocessing),
        patch_size=checkpoint.config.patch_size,
        budgets=checkpoint.config.budgets,
        labels=checkpoint.labels,
        head=None if head is None else Head(head["weight"].numpy(), head["bias"].numpy()),
        tasks=tuple(dense.task for dense in checkpoint.dense),
        dense=checkpoint.dense,
        certainty=checkpoint.certainty,
        means=checkpoint.means,
        source_digest=checkpoint.digest,
    )
