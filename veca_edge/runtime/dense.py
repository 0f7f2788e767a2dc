"""What a dense head says about an image: classes or values, everywhere in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float
from veca_edge.errors import VecaError, shown
from veca_edge.modelfile.heads import DenseHead, DenseTask
from veca_edge.numbers import finite, whole
from veca_edge.runtime.result import softmax

MAX_SIDE = 2**14  # pixels of an enlarged result
MOST_VALUES = 2**30  # in one: 4 GB, and as much again on the way
LEAST_SAID = 0.005  # of a picture


@dataclass(frozen=True, eq=False, repr=False)
class DenseResult:
    """A head's results for one image. Its cells are read-only: copy them to change them.

    Attributes:
        task: which head, its classes and colours, or its unit.
        cells: float32 (rows * k, columns * k, K), one vector of logits, or one value, per cell of the image that
            the model saw.
        crop: (x, y, width, height) of it in pixels of the given image.
        computed: bool (rows * k, columns * k), the cells that were computed for this frame of a stream; else None.
    """

    task: DenseTask
    cells: Float
    crop: tuple[int, int, int, int]
    computed: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        self.cells.setflags(write=False)  # a stream's results share it while nothing changes

    def __repr__(self) -> str:
        """<DenseResult people, 64 x 64 cells: background 81 %, top 11 %>"""
        height, width = self.cells.shape[:2]
        return f"<DenseResult {self.task.name}, {width} x {height} cells: {self.text()}>"

    def text(self, most: int = 2) -> str:
        """In words: so many classes at most, those with the largest shares; or the range of values."""
        if self.task.kind == "regression":
            low, high = float(self.cells.min()), float(self.cells.max())
            return f"{low:.3g} to {high:.3g} {self.task.unit}".rstrip()
        shares = sorted(self.areas().items(), key=lambda item: -item[1])[:most]
        return ", ".join(f"{label} {100 * share:.0f} %" for label, share in shares if share >= LEAST_SAID)

    def at(self, height: int, width: int) -> Float:
        """The cells enlarged bilinearly to an image of this size: float32 (height, width, K).

        Each cell's value stands in its middle; beyond the outermost middles values go on as they are, as in
        PyTorch's `interpolate(mode="bilinear", align_corners=False)`.

        Args:
            height, width: pixels, 1 to 16384; the part `crop` of the given image, at any scale.

        Raises:
            VecaError: another size, or more than 2^30 values in all.
        """
        rows, columns = _side(height), _side(width)
        if rows * columns * self.task.values > MOST_VALUES:
            raise VecaError(
                f"{rows} x {columns} pixels with {self.task.values} values each fill too much memory: use fewer"
            )
        return _enlarged(_enlarged(self.cells, rows, 0), columns, 1)

    def classes(self, height: int | None = None, width: int | None = None) -> NDArray[np.uint8]:
        """The likeliest class of every cell, or of every pixel of an image of this size: uint8 (height, width).

        Args:
            height, width: as of `at`; both or none.

        Raises:
            VecaError: a regression, an impossible size, or half of one.
        """
        self._check_kind("segmentation")
        if (height is None) != (width is None):
            raise VecaError("give both the height and the width of the image, or neither")
        cells = self.cells if height is None or width is None else self.at(height, width)
        return np.asarray(cells.argmax(axis=2), np.uint8)

    def probabilities(self) -> Float:
        """Softmax of the logits: float32 (rows * k, columns * k, K).

        Raises:
            VecaError: a regression.
        """
        self._check_kind("segmentation")
        return np.asarray(softmax(self.cells), np.float32)

    def areas(self) -> dict[str, float]:
        """The share of cells in which each class is the likeliest, 0..1, by label.

        Raises:
            VecaError: a regression.
        """
        counts = np.bincount(self.classes().ravel(), minlength=self.task.values)
        return {label: float(count / counts.sum()) for label, count in zip(self.task.labels, counts, strict=True)}

    def summary(self) -> dict[str, Any]:
        """A few numbers, ready for JSON: {"areas": shares by label}, or {"min", "median", "max", "unit"}."""
        if self.task.kind == "segmentation":
            return {"areas": {label: round(share, 4) for label, share in self.areas().items()}}
        told = zip(("min", "median", "max"), np.percentile(self.values(), (0, 50, 100)), strict=True)
        return {name: finite(float(f"{value:.5g}")) for name, value in told} | {"unit": self.task.unit}

    def values(self) -> Float:
        """A regression's values: float32 (rows * k, columns * k).

        Raises:
            VecaError: a segmentation.
        """
        self._check_kind("regression")
        return self.cells[..., 0]

    def _check_kind(self, kind: str) -> None:
        if self.task.kind != kind:
            raise VecaError(f"{self.task.name} is a {self.task.kind}, not a {kind}")


class DenseResults(Mapping[str, DenseResult]):
    """What the dense heads say, by name; each is computed when it is first read: most apps read none or one."""

    def __init__(self, names: Collection[str], make: Callable[[str], DenseResult]) -> None:
        self._names, self._make, self._made = names, make, dict[str, DenseResult]()

    def __getitem__(self, name: str) -> DenseResult:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied or sent to another process, it is a dictionary."""
        return dict, (dict(self),)


class StreamedCells:
    """A head's cells for one frame of a stream, computed when they are first read.

    A head reads single patches, so where the cells of an earlier frame are known, only those of patches that were
    computed since are new.
    """

    def __init__(
        self,
        head: DenseHead,
        features: Float,
        grid: tuple[int, int],
        known: Float | None = None,
        stale: NDArray[np.bool_] | None = None,
    ) -> None:
        """Args:
        features: float32 (N, D'), which nobody changes later.
        grid: rows and columns of patches.
        known: the cells of an earlier frame, None if they were never read.
        stale: bool (N,), the patches that were computed since that frame.
        """
        self._head, self._features, self._grid = head, features, grid
        self._known, self._stale = known, stale

    @cached_property
    def cells(self) -> Float:
        """As in `DenseResult`."""
        head, features = self._head, self._features
        if self._known is None or self._stale is None:
            return head.task.grid(head.outputs(features), *self._grid)
        patches = np.flatnonzero(self._stale)
        return head.task.redrawn(self._known, head.outputs(features[patches]), patches)

    def result(self, crop: tuple[int, int, int, int], computed: NDArray[np.bool_]) -> DenseResult:
        """What they say; `computed` is bool (rows, columns), the patches that were computed for this frame."""
        return DenseResult(self._head.task, self.cells, crop, _of_cells(self._head.task, computed))

    def after(self, features: Float, patches: NDArray[np.intp]) -> StreamedCells:
        """Those of the next frame, for which these patches were computed."""
        read: Float | None = self.__dict__.get("cells")
        stale = np.zeros(len(features), np.bool_) if read is not None or self._stale is None else self._stale.copy()
        stale[patches] = True
        return StreamedCells(self._head, features, self._grid, self._known if read is None else read, stale)


def dense_result(
    task: DenseTask,
    outputs: Float,
    grid: tuple[int, int],
    crop: tuple[int, int, int, int],
    computed: NDArray[np.bool_] | None = None,
) -> DenseResult:
    """What a head's outputs say.

    Args:
        task: which head's they are.
        outputs: float32 (rows * columns, K * k * k).
        grid: rows and columns of patches.
        crop: as in `DenseResult`.
        computed: bool (rows, columns), the patches that were computed for this frame, or None.
    """
    cells = None if computed is None else _of_cells(task, computed)
    return DenseResult(task, task.grid(outputs, *grid), crop, cells)


def nothing_computed(dense: Mapping[str, DenseResult]) -> DenseResults:
    """The same results for a frame that was left out."""

    def left(name: str) -> DenseResult:
        said = dense[name]
        return replace(said, computed=np.zeros(said.cells.shape[:2], np.bool_))

    return DenseResults(dense.keys(), left)


def _of_cells(task: DenseTask, patches: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What holds for patches (rows, columns), for their cells (rows * k, columns * k)."""
    return patches.repeat(task.cells, axis=0).repeat(task.cells, axis=1)


def _side(pixels: int) -> int:
    side = whole(pixels, 1, MAX_SIDE)
    if side is None:
        raise VecaError(f"cannot enlarge a result to {shown(pixels)} pixels: use 1 to {MAX_SIDE}")
    return side


def _enlarged(values: Float, size: int, axis: int) -> Float:
    """Linear interpolation along one axis of (height, width, K)."""
    count = values.shape[axis]
    place = np.clip((np.arange(size, dtype=np.float32) + 0.5) * np.float32(count / size) - 0.5, 0, count - 1)
    before = place.astype(np.int64)
    share = (place - before).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    first: Float = values.take(before, axis)
    second: Float = values.take(np.minimum(before + 1, count - 1), axis)
    second -= first
    second *= share
    second += first
    return second
