"""A model file against the checkpoint it came from: every method, every budget, on real images.

The comparison runs in a child process, because a program that is wrong in the wrong way ends the process.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from converters.samples import read_images, sample_images
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from veca_edge.model.veca import Veca
from veca_edge.runtime.cache import HIDE
from veca_edge.runtime.child import child_command
from veca_edge.runtime.executorch_engine import Program
from veca_edge.runtime.modelfile import Head, ModelFile, read_model_file
from veca_edge.runtime.patches import cell_centres, cut_patches
from veca_edge.runtime.threads import default_threads

FEATURE_COSINE = 0.99  # int8, mean over patches and images
RELATIVE_ERROR = 1e-4  # fp32, largest difference over largest value
CONVERT_IMAGES = 8

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """One method at one budget against the reference, over all images.

    Attributes:
        method: "encode", "encode_N", "step", "step_N", "step, remembered" (at least half of the patches recalled
            from the same image), "step_N, remembered", or "cores_C".
        cores: the budget.
        embedding_cosine: mean over images.
        feature_cosine: mean over patches and images.
        max_error: largest absolute difference of embedding and features, relative to their largest value.
        top1_agreement: fraction of images with the same most likely label, or None without a head.
    """

    method: str
    cores: int
    embedding_cosine: float
    feature_cosine: float
    max_error: float
    top1_agreement: float | None


@dataclass(frozen=True)
class Verification:
    """The whole comparison.

    Attributes:
        quantization: of the file; it sets the tolerance.
        images: how many were compared.
        rows: one per method and budget.
    """

    quantization: str
    images: int
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether every row is within the tolerance."""
        return all(self._within(row) for row in self.rows)

    @property
    def tolerance(self) -> str:
        """The tolerance in words."""
        if self.quantization == "fp32":
            return f"largest relative error at most {RELATIVE_ERROR:g}"
        return f"mean feature cosine at least {FEATURE_COSINE}"

    def _within(self, row: Row) -> bool:
        # Written so that a NaN fails.
        if self.quantization == "fp32":
            return row.max_error <= RELATIVE_ERROR
        return row.feature_cosine >= FEATURE_COSINE

    def complaint(self) -> str:
        """The worst row outside the tolerance, in words."""
        outside = [row for row in self.rows if not self._within(row)]
        worst = min(outside, key=lambda row: row.feature_cosine)
        return (
            f"{len(outside)} of {len(self.rows)} comparisons are outside the tolerance ({self.tolerance}); worst: "
            f"{worst.method} at {worst.cores} cores, feature cosine {worst.feature_cosine:.5f}, "
            f"relative error {worst.max_error:.2g}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self) | {"passed": self.passed, "tolerance": self.tolerance}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verification:
        """What `to_dict` wrote."""
        rows = tuple(Row(**row) for row in values["rows"])
        return cls(values["quantization"], values["images"], rows)


def verify_in_child(
    file: ModelFile,
    checkpoint: Checkpoint,
    progress: Callable[[float], None] | None = None,
    images: Path | None = None,
) -> Verification:
    """Run `verify` in a child process.

    Args:
        file: the model file, on disk.
        checkpoint: its source.
        progress: called with how much is done, 0..1.
        images: a folder of images; None for the packaged samples.

    Raises:
        VecaError: the child refused the file or the images, or the program crashed it.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.pt"
        write_checkpoint(checkpoint, source, half=False)
        named = [] if images is None else [str(images.resolve())]
        command = child_command("converters.verification", str(file.path.resolve()), str(source), *named)
        with tempfile.TemporaryFile("w+") as errors:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
            try:
                last = _follow(child, progress)
            finally:
                child.kill()  # of no effect if it ended by itself
                status = child.wait()
            errors.seek(0)
            said = errors.read().strip().splitlines()
    if status < 0:
        raise VecaError(f"{file.path}: its program crashes ExecuTorch (signal {-status})")
    if status or "rows" not in last:
        raise VecaError(said[-1] if said else f"{file.path}: the verification stopped")
    return Verification.from_dict(last)


def _follow(child: subprocess.Popen[str], progress: Callable[[float], None] | None) -> dict[str, Any]:
    """Pass the child's progress on; the last line it wrote."""
    last: dict[str, Any] = {}
    for line in child.stdout or ():
        last = json.loads(line)
        if progress is not None and "done" in last:
            progress(last["done"])
    return last


def verify(
    file: ModelFile,
    checkpoint: Checkpoint,
    images: Sequence[Image],
    progress: Callable[[float], None] | None = None,
) -> Verification:
    """Compare every method at every budget with PyTorch in float32.

    Args:
        file: the model file.
        checkpoint: its source.
        images: uint8 (H, W, 3), RGB, any sizes.
        progress: called with how much is done, 0..1.
    """
    manifest, comparison = file.manifest, _Comparison(file, checkpoint)
    fitted = [manifest.preprocessing.resize(i, manifest.patch_size, manifest.image_size).image for i in images]
    scores: dict[tuple[str, int], list[_Score]] = {}
    for done, cores in enumerate(manifest.budgets):
        for count, image in enumerate(fitted):
            for method, score in comparison.scores(image, cores):
                scores.setdefault((method, cores), []).append(score)
            if progress is not None:
                progress((done + (count + 1) / len(fitted)) / len(manifest.budgets))
    rows = tuple(_row(method, cores, found) for (method, cores), found in scores.items())
    return Verification(manifest.quantization, len(fitted), rows)


@dataclass(frozen=True)
class _Outputs:
    embedding: Float
    features: Float
    logits: Float | None


@dataclass(frozen=True)
class _Score:
    embedding_cosine: float
    feature_cosine: float
    max_error: float
    agrees: bool | None


class _Comparison:
    """The program and its reference side by side."""

    def __init__(self, file: ModelFile, checkpoint: Checkpoint) -> None:
        self._file = file
        # Half of the cores: worker threads that wait for each other stand still while other programs run.
        self._program = Program(file, max(1, default_threads() // 2))
        self._reference: Veca = checkpoint.build()
        head = checkpoint.head
        self._head = None if head is None else Head(head["weight"].numpy(), head["bias"].numpy())
        self._mean = torch.tensor(checkpoint.preprocessing["mean"])[:, None, None]
        self._std = torch.tensor(checkpoint.preprocessing["std"])[:, None, None]

    def scores(self, image: Image, cores: int) -> Iterator[tuple[str, _Score]]:
        """Every method's score on one image (H, W, 3) of the file's image size."""
        expected = self._expected(image, cores)
        inputs = self._inputs(image, cores)
        for most, method in self._file.manifest.rungs("encode"):
            seen = image if most >= len(inputs[0]) else self._corner(image, most)
            core, features, _ = self._program.run(method, inputs if seen is image else self._inputs(seen, cores))
            wanted = expected if seen is image else self._expected(seen, cores)
            yield method, _score(self._with_head(core[0], features), wanted)
        yield from self._step_scores(inputs, expected)
        found = self._program.run(f"cores_{cores}", [image.astype(np.float32)])
        logits = found[2][0] if len(found) > 2 else None
        yield f"cores_{cores}", _score(_Outputs(found[0][0], found[1], logits), expected)

    def _inputs(self, image: Image, cores: int) -> list[Float]:
        """Patches, positions, cores and their coordinates."""
        size = self._file.manifest.patch_size
        centres = cell_centres(image.shape[0] // size, image.shape[1] // size)
        return [cut_patches(image, size), centres, self._file.cores[:cores], self._file.coordinates[:cores]]

    def _corner(self, image: Image, patches: int) -> Image:
        """The image's top left corner of at most so many patches."""
        side = math.isqrt(patches) * self._file.manifest.patch_size
        return np.ascontiguousarray(image[:side, :side])

    def _step_scores(self, inputs: list[Float], expected: _Outputs) -> Iterator[tuple[str, _Score]]:
        """`step` with nothing remembered, then with some patches computed anew and the others remembered."""
        manifest, count = self._file.manifest, len(inputs[0])
        empty = np.zeros((manifest.num_heads, 2, manifest.hidden_dim // manifest.num_heads), np.float32)
        nothing = [np.full(2, HIDE, np.float32), *[empty] * (2 * manifest.num_layers)]
        for method in (name for most, name in manifest.rungs("step") if most >= count):
            core, features, _, *kept = (a.copy() for a in self._program.run(method, [*inputs, *nothing]))
            yield method, _score(self._with_head(core[0], features), expected)
        for most, method in manifest.rungs("step") if count > 1 else ():
            new = np.arange(0, count, 2)[:most]
            mask = np.zeros(count, np.float32)
            mask[new] = HIDE
            chosen = [np.ascontiguousarray(array[new]) for array in inputs[:2]]
            core, fresh, *_ = self._program.run(method, [*chosen, *inputs[2:], mask, *kept])
            mixed = features.copy()
            mixed[new] = fresh
            yield f"{method}, remembered", _score(self._with_head(core[0], mixed), expected)

    def _with_head(self, embedding: Float, features: Float) -> _Outputs:
        logits = None if self._file.head is None else self._file.head.logits(embedding, features)
        return _Outputs(embedding, features, logits)

    def _expected(self, image: Image, cores: int) -> _Outputs:
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            output = self._reference(((pixels - self._mean) / self._std)[None], cores)
        embedding, features = output.embedding[0].numpy(), output.features[0].numpy()
        logits = None if self._head is None else self._head.logits(embedding, features)
        return _Outputs(embedding, features, logits)


def _score(found: _Outputs, expected: _Outputs) -> _Score:
    agrees = None
    if found.logits is not None and expected.logits is not None:
        agrees = bool(found.logits.argmax() == expected.logits.argmax())
    return _Score(
        embedding_cosine=float(_cosine(found.embedding, expected.embedding)),
        feature_cosine=float(_cosine(found.features, expected.features).mean()),
        max_error=max(_relative(found.embedding, expected.embedding), _relative(found.features, expected.features)),
        agrees=agrees,
    )


def _row(method: str, cores: int, scores: Sequence[_Score]) -> Row:
    agreements = [score.agrees for score in scores if score.agrees is not None]
    return Row(
        method=method,
        cores=cores,
        embedding_cosine=float(np.mean([score.embedding_cosine for score in scores])),
        feature_cosine=float(np.mean([score.feature_cosine for score in scores])),
        max_error=float(np.max([score.max_error for score in scores])),
        top1_agreement=float(np.mean(agreements)) if agreements else None,
    )


def _cosine(a: Float, b: Float) -> NDArray[np.float64]:
    """Along the last axis, in float64."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return np.asarray((x * y).sum(axis=-1) / np.maximum(lengths, 1e-30))


def _relative(found: Float, expected: Float) -> float:
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def _main(arguments: Sequence[str]) -> None:
    """The child: progress and result as JSON lines."""

    def say(**values: Any) -> None:
        print(json.dumps(values), flush=True)

    file = read_model_file(arguments[0])
    images = read_images(Path(arguments[2])) if len(arguments) > 2 else sample_images()[:CONVERT_IMAGES]
    outcome = verify(file, read_checkpoint(arguments[1]), images, lambda done: say(done=done))
    say(**outcome.to_dict())


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except VecaError as error:
        sys.exit(str(error))
