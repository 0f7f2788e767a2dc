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

from veca_edge.runtime.cache import ALL, HIDE, CacheType, PatchCache, Stepped
from veca_edge.runtime.change import ChangeDetector, ChangeSettings, Plan
from veca_edge.runtime.engines import Encoded
from veca_edge.runtime.patches import cut_bytes
from veca_edge.runtime.result import Result

if TYPE_CHECKING:
    from veca_edge.runtime.model import Model

Float = NDArray[np.float32]
Image = NDArray[np.uint8]


class StepEngine(Protocol):
    """An engine that can compute some of an image's patches."""

    def step(
        self, patches: Float, positions: Float, cores: int, mask: Float | None, cache: PatchCache | None
    ) -> Stepped: ...

    def positions(self, rows: int, columns: int) -> Float: ...

    def encode(self, image: Image, cores: int) -> Encoded: ...


class Stream:
    """Frames of one camera or clip through one model. Several streams may share a model, one call at a time.

    Attributes:
        image_size: pixels of the model's input, or None for the model's own.
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
        self.image_size = image_size
        self._cores = cores
        self._detector = ChangeDetector(settings)
        self._state: tuple[int, tuple[int, int]] | None = None
        self._embedding: Float | None = None
        self._anchor: Float | None = None
        self._drifted = self._moving = False
        self._remembers = True
        self.cache: PatchCache | None = None

    @property
    def cores(self) -> int:
        """The core budget; setting another one makes the next frame a keyframe."""
        return self._cores

    @cores.setter
    def cores(self, cores: int) -> None:
        self._cores = self._model.check_budget(cores)

    @property
    def change(self) -> ChangeSettings:
        """What counts as change; can be set at any time, and what is remembered stays."""
        return self._detector.settings

    @change.setter
    def change(self, settings: ChangeSettings) -> None:
        self._detector.settings = settings

    @property
    def noise(self) -> float:
        """The camera's noise as estimated so far, standard deviation in grey levels."""
        return self._detector.noise

    def reset(self) -> None:
        """Forget everything: the next frame is a keyframe."""
        self._state, self.cache, self._embedding, self._anchor = None, None, None, None
        self._drifted, self._moving, self._remembers = False, False, True
        self._detector.reset()

    def over(self, frames: Iterable[Image]) -> Iterator[Result]:
        """The results of frames, one after another."""
        for frame in frames:
            yield self.update(frame)

    def update(self, frame: Image) -> Result:
        """The result for the next frame.

        A frame of another shape than the one before, or another core budget, is a keyframe. There is no clock:
        frames that are left out or come late are compared with what was last computed, like any other.

        Args:
            frame: uint8 (H, W, 3), RGB, any size.

        Raises:
            VecaError: not such an image. The stream goes on as if the frame had not come.
        """
        start = perf_counter()
        model, size = self._model, self._model.patch_size
        fitted = model.preprocessing.resize(frame, size, self.image_size)
        grid = (fitted.image.shape[0] // size, fitted.image.shape[1] // size)
        if self._state != (self._cores, grid):
            self.reset()
        cut = cut_bytes(fitted.image, size)
        plan = self._detector.plan(cut, self._drifted or not self._remembers)
        embedding = self._compute(fitted.image, cut, plan, grid)
        self._follow_drift(embedding, plan.keyframe and self._remembers)
        self._state = (self._cores, grid)
        assert self.cache is not None
        computed = np.zeros(len(cut), np.bool_)
        computed[plan.patches] = True
        features = self.cache.features.copy()
        return Result(
            embedding=embedding,
            features=features.reshape(*grid, -1),
            listening=self.cache.listening.copy().reshape(*grid, -1),
            logits=model.logits(embedding, features),
            labels=model.labels,
            cores=self._cores,
            image_size=(fitted.image.shape[0], fitted.image.shape[1]),
            crop=fitted.crop,
            latency=perf_counter() - start,
            computed=computed.reshape(grid),
            keyframe=plan.keyframe,
            oldest=int(self._detector.age.max()),
        )

    def _follow_drift(self, embedding: Float, keyframe: bool) -> None:
        """Notice when the cores say something else than when most patches were computed."""
        direction = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        if keyframe or self._anchor is None:
            self._anchor = direction
        self._drifted = float(direction @ self._anchor) < self.change.drift

    def _compute(self, image: Image, cut: Image, plan: Plan, grid: tuple[int, int]) -> Float:
        """Run the model on the planned patches and remember them; the image's embedding."""
        try:
            if not len(plan.patches) and self._embedding is not None:
                return self._embedding.copy()
            moving = plan.changed > self.change.keyframe_share * len(cut)
            if plan.keyframe and moving and self._moving and self.cache is not None:
                embedding = self._encode(image, self.cache)
            else:
                embedding = self._step(cut, plan, grid)
            self._moving = plan.keyframe and moving and self._embedding is not None
        except BaseException:
            # The detector took these pixels as computed, and they were not.
            self.reset()
            raise
        self._embedding = embedding
        return embedding.copy()

    def _encode(self, image: Image, cache: PatchCache) -> Float:
        """All patches, without their keys and values: in a pan the next frame will not want them."""
        encoded = self._engine.encode(image, self._cores)
        cache.features[:], cache.listening[:] = encoded.features, encoded.listening
        self._remembers = False
        return encoded.embedding

    def _step(self, cut: Image, plan: Plan, grid: tuple[int, int]) -> Float:
        positions = self._engine.positions(*grid)
        if plan.keyframe or self.cache is None:
            stepped = self._engine.step(cut.astype(np.float32), positions, self._cores, None, None)
            if self.cache is None:
                self.cache = PatchCache.of(stepped, self._cache_type)
            else:
                self.cache.write(ALL, stepped)
            self._remembers = True
            return stepped.embedding
        mask = np.zeros(len(cut), np.float32)
        mask[plan.patches] = HIDE
        new = cut[plan.patches].astype(np.float32)
        stepped = self._engine.step(new, positions[plan.patches], self._cores, mask, self.cache)
        self.cache.write(plan.patches, stepped)
        return stepped.embedding


class StreamedModel:
    """A stream that is called like a model: for whoever runs models on frames without knowing of streams."""

    def __init__(self, model: Model, image_size: int | None = None, settings: ChangeSettings | None = None) -> None:
        self.name, self.budgets, self.patch_size = model.name, model.budgets, model.patch_size
        self._model, self._settings = model, settings
        self._image_size = image_size
        self._stream = model.stream(image_size=image_size, change=settings)

    def __call__(self, image: Image, *, cores: int | None, image_size: int | None = None) -> Result:
        """The next frame's result; another budget (None for the largest) or image size makes it a keyframe."""
        cores = self._model.check_budget(cores)
        if image_size != self._image_size:
            self._image_size = image_size
            self._stream = self._model.stream(image_size=image_size, change=self._settings)
        if cores != self._stream.cores:
            self._stream.cores = cores
        return self._stream.update(image)
