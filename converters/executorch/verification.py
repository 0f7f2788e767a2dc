"""A model file against the checkpoint it came from: every method, every budget, on real images.

The comparison runs in a child process, because a program that is wrong in the wrong way ends the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from veca_edge.converters.verification import (
    Float,
    Image,
    Outputs,
    Progress,
    Reference,
    Row,
    Verification,
    answer_with,
    coarsest,
    over_images,
    score,
)
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.pte import ModelFile, read_model_file
from veca_edge.runtime.engines.executorch import Program
from veca_edge.runtime.streaming.cache import HIDE
from veca_edge.runtime.threads import check_threads

CONVERT_IMAGES = 8


def verify(
    path: Path,
    checkpoint: Checkpoint,
    images: Sequence[Image],
    progress: Progress = lambda _: None,
) -> Verification:
    """Compare every method at every budget with PyTorch in float32.

    Args:
        path: the model file.
        checkpoint: its source.
        images: uint8 (H, W, 3), RGB, any sizes.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: not a model file, or a damaged one.
    """
    file = read_model_file(path)
    manifest, comparison = file.manifest, _Comparison(file, checkpoint)
    fitted = [manifest.preprocessing.resize(i, manifest.patch_size, manifest.image_size).image for i in images]
    found: dict[tuple[str, int], list[Row]] = {}
    for done, cores in enumerate(manifest.budgets):
        for count, image in enumerate(fitted):
            for row in comparison.rows(image, cores):
                found.setdefault((row.method, cores), []).append(row)
            progress((done + (count + 1) / len(fitted)) / len(manifest.budgets))
    return Verification(coarsest(manifest), len(fitted), tuple(map(over_images, found.values())))


class _Comparison:
    """The program and its reference side by side."""

    def __init__(self, file: ModelFile, checkpoint: Checkpoint) -> None:
        self._file = file
        # Half of the cores: worker threads that wait for each other stand still while other programs run.
        self._program = Program(file, max(1, check_threads(None) // 2))
        self._tasks = file.manifest.tasks
        self._expected = Reference(checkpoint)

    def rows(self, image: Image, cores: int) -> Iterator[Row]:
        """Every method on one image (H, W, 3) of the file's image size."""
        expected = self._expected(image, cores)
        inputs = self._inputs(image, cores)
        for most, method in self._file.manifest.size_buckets("encode"):
            seen = image if most >= len(inputs[0]) else self._corner(image, most)
            core, features, _ = self._program.run(method, inputs if seen is image else self._inputs(seen, cores))
            wanted = expected if seen is image else self._expected(seen, cores)
            yield score(method, cores, self._with_head(core[0], features), wanted, self._tasks)
        yield from self._step_rows(inputs, cores, expected)
        yield score(f"cores_{cores}", cores, self._fixed(image, cores), expected, self._tasks)

    def _fixed(self, image: Image, cores: int) -> Outputs:
        """The outputs of the method for one budget and one size of the image."""
        embedding, features, *heads = self._program.run(f"cores_{cores}", [image.astype(np.float32)])
        logits = None if self._file.head is None else heads.pop(0)[0]
        names = [task.name for task in self._tasks]
        return Outputs(embedding[0], features, logits, dict(zip(names, heads, strict=True)))

    def _inputs(self, image: Image, cores: int) -> list[Float]:
        """Patches, positions, cores and their coordinates."""
        size = self._file.manifest.patch_size
        centres = cell_centres(image.shape[0] // size, image.shape[1] // size)
        return [cut_patches(image, size), centres, self._file.cores[:cores], self._file.coordinates[:cores]]

    def _corner(self, image: Image, patches: int) -> Image:
        """The image's top left corner of at most so many patches."""
        side = math.isqrt(patches) * self._file.manifest.patch_size
        return np.ascontiguousarray(image[:side, :side])

    def _step_rows(self, inputs: list[Float], cores: int, expected: Outputs) -> Iterator[Row]:
        """`step` with nothing remembered, then with some patches computed anew and the others remembered."""
        manifest, count = self._file.manifest, len(inputs[0])
        empty = np.zeros((manifest.num_heads, 2, manifest.hidden_dim // manifest.num_heads), np.float32)
        nothing = [np.full(2, HIDE, np.float32), *[empty] * (2 * manifest.num_layers)]
        for method in (name for most, name in manifest.size_buckets("step") if most >= count):
            core, features, _, *kept = (a.copy() for a in self._program.run(method, [*inputs, *nothing]))
            yield score(method, cores, self._with_head(core[0], features), expected, self._tasks)
        for most, method in manifest.size_buckets("step") if count > 1 else ():
            new = np.arange(0, count, 2)[:most]
            mask = np.zeros(count, np.float32)
            mask[new] = HIDE
            chosen = [np.ascontiguousarray(array[new]) for array in inputs[:2]]
            core, fresh, *_ = self._program.run(method, [*chosen, *inputs[2:], mask, *kept])
            mixed = features.copy()
            mixed[new] = fresh
            yield score(f"{method}, remembered", cores, self._with_head(core[0], mixed), expected, self._tasks)

    def _with_head(self, embedding: Float, features: Float) -> Outputs:
        logits = None if self._file.head is None else self._file.head.logits(embedding, features)
        return Outputs(embedding, features, logits, {h.task.name: h.outputs(features) for h in self._file.dense})


if __name__ == "__main__":
    answer_with(verify, CONVERT_IMAGES)
