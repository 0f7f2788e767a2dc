"""Converted models compared with PyTorch: measures, tolerances, and the child process that compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from veca_edge.converters.description import classifier_of
from veca_edge.files import is_package
from veca_edge.model.checkpoint import Checkpoint, read_checkpoint
from veca_edge.model.veca import Veca
from veca_edge.modelfile.heads import DenseTask
from veca_edge.modelfile.manifest import Manifest
from veca_edge.photos.evaluation import read_images, read_photos
from veca_edge.photos.samples import sample_images
from veca_edge.runtime.child import answer, run_child
from veca_edge.runtime.result import softmax

Measure = Literal["max_error", "norm_error", "feature_cosine"]
Float = NDArray[np.float32]
Image = NDArray[np.uint8]
Progress = Callable[[float], None]
Compare = Callable[[Path, Checkpoint, Sequence[Image], Progress], "Verification"]


@dataclass(frozen=True)
class Tolerance:
    """The measure that every row must keep within a limit: errors at most, cosines at least."""

    measure: Measure
    limit: float

    def holds(self, row: Row) -> bool:
        """Whether a row is within it; NaN never is."""
        value = self.value(row)
        return value >= self.limit if self.measure == "feature_cosine" else value <= self.limit

    def value(self, row: Row) -> float:
        """What is measured of a row."""
        return float(getattr(row, self.measure))

    def __str__(self) -> str:
        words = {
            "max_error": "largest relative error at most",
            "norm_error": "relative error in norm at most",
            "feature_cosine": "mean feature cosine at least",
        }
        return f"{words[self.measure]} {self.limit:g}"


# By target and quantization. Float16 rounds every value that is computed, so its worst one among a hundred thousand
# says little: there the norm counts.
TOLERANCES = {
    ("executorch", "fp32"): Tolerance("max_error", 1e-4),
    ("executorch", "int4"): Tolerance("feature_cosine", 0.95),
    ("coreml", "fp32"): Tolerance("max_error", 1e-5),
    ("coreml", "fp16"): Tolerance("norm_error", 1e-2),
    ("coreml", "int4"): Tolerance("feature_cosine", 0.95),
    ("coreml", "palette6"): Tolerance("feature_cosine", 0.95),
    ("coreml", "palette4"): Tolerance("feature_cosine", 0.95),
}
DENSE_AGREEMENT = 0.97  # of every dense head, see `Row.dense`
DECIDED = 0.5  # probability of a class above which a cell counts: elsewhere any rounding may turn the choice
RARE = 0.01  # of all cells: a class in fewer is not in these pictures, and where it is seen is chance
TOLERANCE = Tolerance("feature_cosine", 0.99)  # int8, and what is not named above


def coarsest(manifest: Manifest) -> str:
    """The quantization that sets a file's tolerance: int4 if any layer has it, else the file's own."""
    return "int4" if "int4" in manifest.precision.values() else manifest.quantization


@dataclass(frozen=True)
class Row:
    """One method at one budget against the reference, over all images.

    Attributes:
        method: "encode", "encode_N", "step", "step_N", "step, remembered" (at least half of the patches recalled
            from the same image), "step_N, remembered", or a function from image to result such as "cores_C".
        cores: the budget.
        embedding_cosine: mean over images.
        feature_cosine: mean over patches and images.
        max_error: largest absolute difference of embedding and features, relative to their largest value.
        top1_agreement: fraction of images with the same most likely label, or None without a head.
        norm_error: length of the difference over length of the expected, the worse of embedding and features, the
            worst image; 0 in files from before it was measured.
        dense: of a method with dense heads, by name: over all images, the mean IoU of its classes with the
            reference's, in cells where that gives one class more than half, of classes in at least a hundredth of
            those; for a regression 1 - root mean square difference / spread of the reference's values.
        sums: of one image, what `dense` is made of, see `dense_sums`; {} over all images.
        largest: of Core ML functions, the largest absolute value that was computed, float32's largest if that was
            infinite or not a number; None if it was not measured.
    """

    method: str
    cores: int
    embedding_cosine: float
    feature_cosine: float
    max_error: float
    top1_agreement: float | None
    norm_error: float = 0.0
    largest: float | None = None
    dense: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, of a row over all images."""
        return {name: value for name, value in vars(self).items() if name != "sums"}


@dataclass(frozen=True)
class Verification:
    """The whole comparison.

    Attributes:
        quantization: of the file, see `coarsest`; with the target it sets the tolerance.
        images: how many were compared.
        rows: one per method and budget.
        target: "executorch" or "coreml".
    """

    quantization: str
    images: int
    rows: tuple[Row, ...]
    target: str = "executorch"

    @property
    def passed(self) -> bool:
        """Whether every row is within the tolerance."""
        return all(self._holds(row) for row in self.rows)

    def _holds(self, row: Row) -> bool:
        return self._limit.holds(row) and all(share >= DENSE_AGREEMENT for share in row.dense.values())

    @property
    def tolerance(self) -> str:
        """The tolerance in words."""
        return str(self._limit)

    @property
    def _limit(self) -> Tolerance:
        return TOLERANCES.get((self.target, self.quantization), TOLERANCE)

    def complaint(self) -> str:
        """The worst row outside the tolerance, in words."""
        limit = self._limit
        outside = [row for row in self.rows if not limit.holds(row)]
        if not outside:
            return self._dense_complaint()
        worst = max(outside, key=lambda row: abs(limit.value(row) - limit.limit))
        return (
            f"{len(outside)} of {len(self.rows)} comparisons are outside the tolerance ({self.tolerance}); worst: "
            f"{worst.method} at {worst.cores} cores, feature cosine {worst.feature_cosine:.5f}, "
            f"relative error {worst.max_error:.2g}"
        )

    def _dense_complaint(self) -> str:
        outside = [(share, name, row) for row in self.rows for name, share in row.dense.items()]
        share, name, row = min(outside, key=lambda found: found[0])
        finer = "fp32" if self.quantization == "int8" else "int8"
        return (
            f"the results of head {name} agree with the checkpoint's only to {share:.3f} by {row.method} at "
            f"{row.cores} cores, {DENSE_AGREEMENT} is needed: try --quantize {finer}, or --data with photos"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return vars(self) | {"rows": rows, "passed": self.passed, "tolerance": self.tolerance}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verification:
        """What `to_dict` wrote."""
        rows = tuple(Row(**row) for row in values["rows"])
        return cls(values["quantization"], values["images"], rows, values.get("target", "executorch"))


@dataclass(frozen=True)
class Outputs:
    """A model's outputs for one image: embedding (D'), features (N, D'), logits (K,), and dense heads' by name."""

    embedding: Float
    features: Float
    logits: Float | None
    dense: Mapping[str, Float] = field(default_factory=dict)


class Reference:
    """The checkpoint in PyTorch, float32."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model: Veca = checkpoint.build()
        self._head = classifier_of(checkpoint)
        self._dense = checkpoint.dense
        self._mean = torch.tensor(checkpoint.preprocessing["mean"])[:, None, None]
        self._std = torch.tensor(checkpoint.preprocessing["std"])[:, None, None]

    def __call__(self, image: Image, cores: int) -> Outputs:
        """The model's outputs for an image (H, W, 3) of a size that it takes."""
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            output = self._model(((pixels - self._mean) / self._std)[None], cores)
        embedding, features = output.embedding[0].numpy(), output.features[0].numpy()
        logits = None if self._head is None else self._head.logits(embedding, features)
        return Outputs(embedding, features, logits, {h.task.name: h.outputs(features) for h in self._dense})


def score(method: str, cores: int, found: Outputs, expected: Outputs, tasks: Sequence[DenseTask] = ()) -> Row:
    """How far `found` is from `expected` on one image.

    Args:
        tasks: of the dense heads; those of which `found` has outputs are compared.
    """
    agrees = None
    if found.logits is not None and expected.logits is not None:
        agrees = float(found.logits.argmax() == expected.logits.argmax())
    return Row(
        method,
        cores,
        embedding_cosine=float(cosines(found.embedding, expected.embedding)),
        feature_cosine=float(cosines(found.features, expected.features).mean()),
        max_error=max(_relative(found.embedding, expected.embedding), _relative(found.features, expected.features)),
        top1_agreement=agrees,
        norm_error=max(_in_norm(found.embedding, expected.embedding), _in_norm(found.features, expected.features)),
        sums={
            task.name: dense_sums(task, found.dense[task.name], expected.dense[task.name])
            for task in tasks
            if task.name in found.dense
        },
    )


def over_images(rows: Sequence[Row]) -> Row:
    """One method at one budget over all images, from its row of each."""
    agreements = [row.top1_agreement for row in rows if row.top1_agreement is not None]
    return replace(
        rows[0],
        embedding_cosine=float(np.mean([row.embedding_cosine for row in rows])),
        feature_cosine=float(np.mean([row.feature_cosine for row in rows])),
        max_error=float(np.max([row.max_error for row in rows])),
        top1_agreement=float(np.mean(agreements)) if agreements else None,
        norm_error=float(np.max([row.norm_error for row in rows])),
        dense={name: _agreement(np.sum([row.sums[name] for row in rows], axis=0)) for name in rows[0].sums},
        sums={},
    )


def dense_sums(task: DenseTask, found: Float, expected: Float) -> NDArray[np.float64]:
    """Of a dense head's outputs (N, K k k) for one image, what can be added up over images.

    Returns:
        (K, K), cells by found and expected class, of those where one is expected with some certainty; for a
        regression (4,): cells, the sum of the expected values, of their squares, and of the squared differences.
    """
    a, b = (values.reshape(len(values), task.values, -1).transpose(0, 2, 1) for values in (found, expected))
    if task.kind == "regression":
        wide = b.astype(np.float64)
        return np.array([wide.size, wide.sum(), np.square(wide).sum(), np.square(a - wide).sum()])
    decided = softmax(b).max(axis=2) > DECIDED
    pairs = a.argmax(axis=2)[decided] * task.values + b.argmax(axis=2)[decided]
    return np.bincount(pairs, minlength=task.values**2).reshape(task.values, -1).astype(np.float64)


def _agreement(sums: NDArray[np.float64]) -> float:
    """How well results agree, up to 1; see `Row.dense`."""
    if sums.ndim == 1:
        count, total, squares, errors = sums.tolist()
        spread = max(squares / count - (total / count) ** 2, 1e-12)
        return float(1 - (errors / count / spread) ** 0.5)
    both = np.diag(sums)
    either = sums.sum(axis=0) + sums.sum(axis=1) - both
    shown = (either >= RARE * sums.sum()) & (either > 0)
    return float(np.mean(both[shown] / either[shown])) if shown.any() else 1.0


def cosines(a: Float, b: Float) -> NDArray[np.float64]:
    """Cosines along the last axis of two arrays (..., width): float64 (...)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.asarray((x * y).sum(axis=-1) / np.maximum(lengths, 1e-30))


def _relative(found: Float, expected: Float) -> float:
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def _in_norm(found: Float, expected: Float) -> float:
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-30))


def verify_in_child(
    path: Path,
    source: Path,
    progress: Progress = lambda _: None,
    images: Path | None = None,
    data: Path | None = None,
) -> Verification:
    """Compare a model file or package with its checkpoint in a child process, which a bad program may crash.

    Args:
        path: the model file or package.
        source: the checkpoint's file.
        progress: called with how much is done, 0..1.
        images: what `read_images` takes; None for some of the packaged samples.
        data: in place of `images` a photo set in any layout, of which some are taken that calibration does not
            learn from; packaged samples join them if they are few. Dense heads are compared on what they show.

    Raises:
        VecaError: the child refused the file or the images, or the program crashed it.
    """
    kind = "coreml" if is_package(path) else "executorch"
    module = f"veca_edge.converters.{kind}.verification"
    chosen = {"images": images, "data": data}
    named = [word for kind, folder in chosen.items() if folder for word in (kind, str(folder.resolve()))]
    return Verification.from_dict(run_child(module, path, str(source.resolve()), *named, progress=progress))


def answer_with(compare: Compare, samples: int) -> None:
    """The child's side of `verify_in_child`.

    Args:
        compare: model file, checkpoint, images and progress to the outcome.
        samples: how many images to compare on, unless a folder of them is named.
    """

    def work(path: str, source: str, kind: str = "", folder: str = "", *, progress: Progress) -> dict[str, Any]:
        images: list[Image]
        if kind == "images":
            images = read_images(Path(folder), samples)
        else:
            own = read_photos(Path(folder), samples).images if kind == "data" else ()
            images = [*own, *sample_images()][:samples]
        return compare(Path(path), read_checkpoint(source), images, progress).to_dict()

    answer(work)
