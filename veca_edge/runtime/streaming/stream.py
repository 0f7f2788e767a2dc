"""A camera stream that pays only for change.

Patches never read other patches, so a patch whose pixels did not change keeps its features and its keys and values
in every layer; only the changed ones and the cores are computed, and nothing at all if none changed. What goes
stale is that remembered rows were computed when the cores said something slightly different: a slow rotation
computes every patch again within a bounded number of frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Float, Image
from veca_edge.errors import VecaError, shown
from veca_edge.image.patches import cut_bytes, cut_patches, cut_some
from veca_edge.image.preprocessing import check_image_size, check_many_images, halved
from veca_edge.runtime.dense import DenseResults, StreamedCells
from veca_edge.runtime.engines.engine import Encoded
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming.allowance import Allowance
from veca_edge.runtime.streaming.cache import ALL, HIDE, CacheType, Index, PatchCache, Stepped
from veca_edge.runtime.streaming.change import ChangeDetector, ChangeSettings, Plan
from veca_edge.runtime.turns import Turns

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model


AGAIN = 2  # keyframes with fewer frames between them are a sign that remembering is in vain


class StepEngine(Protocol):
    """An engine that can compute some of an image's patches."""

    def step(
        self, patches: Float, positions: Float, cores: int, mask: Float | None, cache: PatchCache | None
    ) -> Stepped: ...

    def positions(self, rows: int, columns: int) -> Float: ...

    def encode(self, image: Image, cores: int) -> Encoded: ...


class Stream:
    """Frames of one camera or clip through one model. Several streams may share a model, also from several threads.

    Attributes:
        cache: what is remembered, or None before the first frame.
    """

    def __init__(
        self,
        model: Model,
        engine: StepEngine,
        cores: int,
        image_size: int | None,
        settings: ChangeSettings,
        cache: CacheType = "float32",
    ) -> None:
        self._model = model
        self._cache_type: CacheType = cache
        self._engine = engine
        self.image_size, self._cores = image_size, cores
        self._detector = ChangeDetector(checked_change(settings))
        self._state: tuple[int, tuple[int, int]] | None = None
        self._embedding: Float | None = None
        self._logits: Float | None = None
        self._dense: dict[str, StreamedCells] = {}
        self._anchor: Float | None = None
        self._drifted = self._blind = self._due = False
        self._remembers = True
        self._since = 0
        self.cache: PatchCache | None = None
        self._turns = Turns()

    def __repr__(self) -> str:
        """<Stream of everyday, 32 cores, 256 px>"""
        size = self.image_size or self._model.preprocessing.image_size
        closed = ", closed" if self._model.closed else ""
        return f"<Stream of {self._model.name}, {self._cores} cores, {size} px{closed}>"

    @property
    def image_size(self) -> int | None:
        """Pixels of the model's input, None for the model's own; another one makes the next frame a keyframe."""
        return self._image_size

    @image_size.setter
    def image_size(self, size: int | None) -> None:
        self._image_size = None if size is None else check_image_size(size, self._model.patch_size)

    @property
    def cores(self) -> int:
        """The core budget; setting another one makes the next frame a keyframe."""
        return self._cores

    @cores.setter
    def cores(self, cores: int) -> None:
        with self._turns:
            self._cores = self._model.check_budget(cores)

    @property
    def change(self) -> ChangeSettings:
        """What counts as change; can be set at any time, and what is remembered stays."""
        return self._detector.settings

    @change.setter
    def change(self, settings: ChangeSettings) -> None:
        with self._turns:
            self._detector.settings = checked_change(settings)

    @property
    def noise(self) -> float:
        """The camera's noise as estimated so far, standard deviation in grey levels."""
        return self._detector.noise

    def reset(self) -> None:
        """Forget everything: the next frame is a keyframe."""
        with self._turns:
            self._state, self.cache = None, None
            self._embedding, self._logits, self._anchor = None, None, None
            self._dense = {}
            self._drifted = self._blind = self._due = False
            self._remembers = True
            self._detector.reset()

    def over(self, frames: Iterable[Image]) -> Iterator[Result]:
        """The results of frames, one after another.

        Args:
            frames: images as `update` takes them.

        Raises:
            VecaError: what yields no images; and as `update`.
        """
        check_many_images(frames, "stream.update(image)")
        return (self.update(frame) for frame in frames)

    def update(self, frame: Image) -> Result:
        """The result for the next frame.

        A frame of another shape than the one before, or another core budget, is a keyframe. There is no clock:
        frames that are left out or come late are compared with what was last computed, like any other.

        Args:
            frame: uint8 (H, W, 3), RGB, any size.

        Raises:
            VecaError: not such an image: the stream goes on as if the frame had not come. Or the model is closed.
        """
        with self._turns:
            return self._update(frame)

    def _update(self, frame: Image) -> Result:
        start = perf_counter()
        self._model.check_open()
        model, size = self._model, self._model.patch_size
        fitted = model.preprocessing.resize(frame, size, self.image_size)
        grid = (fitted.image.shape[0] // size, fitted.image.shape[1] // size)
        if self._state != (self._cores, grid):
            self.reset()
            self._begin(grid)
        plan = self._plan(fitted.image)
        if len(plan.patches):
            self._compute(fitted.image, plan, grid)
        self._since = 0 if plan.keyframe else self._since + 1
        if plan.keyframe:
            self._allowance.full(kept=self._remembers, looked=plan.looked, taken=self._due and not plan.looked)
        else:
            self._due = self._allowance.step(len(plan.patches))
        self._state = (self._cores, grid)
        assert self.cache is not None
        assert self._embedding is not None
        computed, cells = self._everywhere if plan.keyframe else _among(plan.patches, grid), self._dense
        return Result(
            embedding=self._embedding,
            features=self.cache.features.reshape(*grid, -1),
            core_attention=self.cache.core_attention.reshape(*grid, -1),
            logits=self._logits,
            labels=model.labels,
            certainty=model.certainty,
            cores=self._cores,
            image_size=(fitted.image.shape[0], fitted.image.shape[1]),
            crop=fitted.crop,
            latency=perf_counter() - start,
            computed=computed,
            dense=DenseResults(cells, lambda name: cells[name].result(fitted.crop, computed)),
            keyframe=plan.keyframe,
            oldest=0 if plan.keyframe else int(self._detector.age.max()),
        )

    def _begin(self, grid: tuple[int, int]) -> None:
        """Make what frames of this grid share: little Python right after an engine takes long."""
        count = grid[0] * grid[1]
        self._allowance = Allowance(count, self._cores)
        self._unseen = Plan(np.arange(count), keyframe=True, changed=count, looked=False)
        self._everywhere = np.ones(grid, np.bool_)
        self._everywhere.setflags(write=False)  # results share it

    def _plan(self, image: Image) -> Plan:
        """What to compute: all of it, without a look, while looking costs too much.

        The first look after that needs the frame before it, which costs something as well; then it is due, as it is
        after a keyframe that remembers, and after a step that cost less than a full frame.
        """
        blind = not self._due and (self._blind or self._allowance.spent)
        self._blind, self._due = blind, blind and not self._allowance.spent
        if blind and not self._due:
            return self._unseen
        seen = _compared(image, self._model.patch_size)
        if blind:
            return self._detector.take(seen)
        return self._detector.plan(seen, self._drifted or not self._remembers)

    def _forgets(self, plan: Plan) -> bool:
        """Whether all is computed, and the next frame will hardly want what this one could keep."""
        if not plan.keyframe or not plan.looked:
            return plan.keyframe
        moves = plan.changed > self.change.keyframe_share * len(plan.patches)
        again = self._since < AGAIN or self._allowance.spent
        return again and (moves or not self._allowance.pays(plan.changed))

    def _compute(self, image: Image, plan: Plan, grid: tuple[int, int]) -> None:
        """Run the model on the planned patches and remember what it says."""
        try:
            with self._model.turns:
                self._model.check_open()
                if self.cache is not None and self._forgets(plan):
                    embedding = self._encode(image, self.cache)
                else:
                    embedding = self._step(image, plan, grid)
        except BaseException:
            # The detector took these pixels as computed, and they were not.
            self.reset()
            raise
        assert self.cache is not None
        self._embedding, self._logits = embedding, self._model.logits(embedding, self.cache.features)
        self._update_dense(self.cache.features, plan, grid)
        if self._remembers:
            self._follow_drift(embedding, plan.keyframe)
        else:
            self._drifted = False

    def _update_dense(self, features: Float, plan: Plan, grid: tuple[int, int]) -> None:
        if self._dense and not plan.keyframe:
            self._dense = {name: cells.after(features, plan.patches) for name, cells in self._dense.items()}
        else:
            self._dense = {head.task.name: StreamedCells(head, features, grid) for head in self._model.dense_heads}

    def _follow_drift(self, embedding: Float, keyframe: bool) -> None:
        """Notice when the cores say something else than when most patches were computed."""
        direction = embedding / max(float(np.sqrt(embedding @ embedding)), 1e-12)
        if keyframe or self._anchor is None:
            self._anchor = direction
        self._drifted = float(direction @ self._anchor) < self.change.drift

    def _encode(self, image: Image, cache: PatchCache) -> Float:
        """All patches, without their keys and values: in a pan the next frame will not want them."""
        encoded = self._engine.encode(image, self._cores)
        assert encoded.core_attention is not None  # of every engine that can step
        cache.features, cache.core_attention = encoded.features, encoded.core_attention
        self._remembers = False
        return encoded.embedding

    def _step(self, image: Image, plan: Plan, grid: tuple[int, int]) -> Float:
        positions, size = self._engine.positions(*grid), self._model.patch_size
        if plan.keyframe or self.cache is None:
            stepped = self._engine.step(cut_patches(image, size), positions, self._cores, None, None)
            if self.cache is None:
                self.cache = PatchCache.of(stepped, self._cache_type)
            else:
                self.cache.write(ALL, stepped)
            self._remembers = self._due = True
            return stepped.embedding
        mask = np.zeros(len(positions), np.float32)
        mask[plan.patches] = HIDE
        new = cut_some(image, size, plan.patches)
        stepped = self._engine.step(new, positions[plan.patches], self._cores, mask, self.cache)
        self.cache.write(plan.patches, stepped)
        return stepped.embedding


def checked_change(settings: ChangeSettings) -> ChangeSettings:
    """`settings`, or a VecaError if they are anything else."""
    if not isinstance(settings, ChangeSettings):
        raise VecaError(f"change {shown(settings)}: use veca_edge.ChangeSettings(…)")
    return settings


def _among(patches: Index, grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Where these patches are in the grid."""
    found = np.zeros(grid[0] * grid[1], np.bool_)
    found[patches] = True
    return found.reshape(grid)


def _compared(image: Image, patch_size: int) -> Image:
    """What change is looked for in: patches at half the size, a quarter of the bytes and of the noise's energy."""
    if patch_size % 2:
        return cut_bytes(image, patch_size)
    return cut_bytes(halved(image), patch_size // 2)
