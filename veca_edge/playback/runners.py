"""The three kinds of `Runner`: a model, a stream of it, and a session on this device."""

from __future__ import annotations

from veca_edge.arrays import Image
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result
from veca_edge.runtime.streaming.change import ChangeSettings
from veca_edge.session import Session, SessionStatistics


class ModelRunner:
    """Computes every frame as a whole, at the largest budget if none is named."""

    def __init__(self, model: Model) -> None:
        self.name, self.budgets = model.name, model.budgets
        self._model = model

    @property
    def statistics(self) -> SessionStatistics | None:
        """None: no governor chooses."""
        return None

    def __call__(self, image: Image, *, cores: int | None, image_size: int | None = None) -> Result:
        return self._model(image, cores, image_size)


class StreamRunner(ModelRunner):
    """Computes what changed. Another budget or image size than for the last frame makes a frame a keyframe."""

    def __init__(self, model: Model, image_size: int | None = None, settings: ChangeSettings | None = None) -> None:
        super().__init__(model)
        self._settings, self._image_size = settings, image_size
        self._stream = model.stream(image_size=image_size, change=settings)

    def __call__(self, image: Image, *, cores: int | None, image_size: int | None = None) -> Result:
        cores = self._model.check_budget(cores)
        if image_size != self._image_size:
            self._image_size = image_size
            self._stream = self._model.stream(image_size=image_size, change=self._settings)
        if cores != self._stream.cores:
            self._stream.cores = cores
        return self._stream.update(image)


class SessionRunner(StreamRunner):
    """Computes frames at the governor's operating point, or with `cores` as a stream at that budget."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.model)
        self._session = session

    @property
    def statistics(self) -> SessionStatistics | None:
        """What the session has done so far."""
        return self._session.statistics

    def __call__(self, image: Image, *, cores: int | None, image_size: int | None = None) -> Result:
        if cores is None:
            return self._session.update(image)
        return super().__call__(image, cores=cores, image_size=image_size)
