"""A model that follows its device: sensors in, an operating point per frame out.

session = veca_edge.Session(model, governor="balanced", target_fps=30)
for result in session.run(camera):
    result.top(3), result.point, result.reason
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from veca_edge.arrays import Image
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError, shown
from veca_edge.governor.decision import Decision
from veca_edge.governor.governor import Governor
from veca_edge.governor.points import Front, OperatingPoint
from veca_edge.governor.settings import PRESETS, Settings, preset
from veca_edge.image.preprocessing import check_image, check_many_images
from veca_edge.numbers import finite
from veca_edge.runtime.dense import nothing_computed
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result
from veca_edge.sensors.state import DeviceState, ThermalLevel

if TYPE_CHECKING:
    from veca_edge.runtime.streaming.stream import Stream

DECISION_INTERVAL = 1.0  # seconds; the governor's constants are made for this pace


class Frame(Protocol):
    """A picture with more around it, as sources give it."""

    @property
    def image(self) -> Image:
        """(H, W, 3), RGB."""


class Sensors(Protocol):
    """Where the device's state comes from; `veca_edge.sensors.Monitor` is one."""

    @property
    def state(self) -> DeviceState: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class SessionStatistics:
    """What a session has done so far.

    Attributes:
        frames: given to it.
        computed: of them, those that the model ran on; the others were left out for the point's frame rate.
        seconds: since the first frame.
        seconds_at: seconds at each operating point.
        switches: changes of the operating point.
        misses: frames that took longer than the point's share of time, 1 / rate.
        joules: energy drawn meanwhile by what the sensors measure, or None if they measure none.
    """

    frames: int
    computed: int
    seconds: float
    seconds_at: dict[OperatingPoint, float]
    switches: int
    misses: int
    joules: float | None


class Session:
    """A stream of one model whose operating point the governor chooses, about once a second.

    One thread feeds it; `stop` and `statistics` may be called from any other. The sensors are read while `run`
    runs; to call `update` instead, use `with session:` around the calls.
    """

    def __init__(
        self,
        model: Model,
        governor: str | Settings = "balanced",
        target_fps: float = 30.0,
        *,
        front: Front | None = None,
        sensors: Sensors | None = None,
        on_critical: Callable[[Decision], None] = lambda decision: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        model: from a model file; it runs as a stream.
        governor: "quality", "balanced" or "saver", or settings of your own.
        target_fps: frames per second that the camera delivers and the app wants.
        front: the operating points to choose among; None for those of the model file with this device's latencies,
            which are measured at the first start and remembered.
        sensors: None for those of this device.
        on_critical: called when the heat becomes critical, so that the app can stop the camera.
        clock: seconds that never go back.

        Raises:
            VecaError: an unknown preset, a model that cannot stream or has no operating points, or an impossible
                argument.
        """
        settings = preset(governor) if isinstance(governor, str) else governor
        if not isinstance(model, Model):
            raise VecaError(
                f"a session needs a model, got a {type(model).__name__}: veca_edge.load(path) opens one"
            )
        model.check_streams()
        if finite(target_fps, 0.1, 1000) is None:
            raise VecaError(f"target_fps {shown(target_fps)}: use a number of frames per second, 0.1 to 1000")
        if not isinstance(settings, Settings):
            raise VecaError(f"governor {shown(governor)}: use one of {', '.join(PRESETS)}, or Settings")
        if front is not None and not isinstance(front, Front):
            raise VecaError(f"front {shown(front)}: use Front.of(points), or None for the model's own")
        for name, function in (("on_critical", on_critical), ("clock", clock)):
            if not callable(function):
                raise VecaError(f"{name} {shown(function)}: use a function")
        if sensors is not None:
            _check_sensors(sensors)
        if front is None:
            from veca_edge.runtime.profile import front_of

            front = front_of(model, target_fps)
        self.model = model
        self._governor = Governor(front, settings.at(target_fps), on_critical)
        self._sensors = sensors if sensors is not None else device_sensors()
        self._clock = clock
        self._target = target_fps
        self._stream: Stream | None = None
        self._last: Result | None = None
        self._skipped = 0
        self._decided: DeviceState | None = None
        self._stopped = threading.Event()
        self._account = _Account()

    @property
    def decision(self) -> Decision | None:
        """The last one; None before the first frame."""
        return self._governor.last

    @property
    def state(self) -> DeviceState | None:
        """What the last decision was made from; None before the first frame."""
        return self._decided

    @property
    def statistics(self) -> SessionStatistics:
        """What happened so far."""
        return self._account.read()

    def __repr__(self) -> str:
        """<Session of everyday, C 8, 256 px, all patches, 30 fps: battery 15 %>"""
        last = self.decision
        now = "no frame yet" if last is None else f"{last.point}: {last.reason}"
        return f"<Session of {self.model.name}, {now}{', closed' if self.model.closed else ''}>"

    def run(self, frames: str | int | Path | Iterable[Image | Frame]) -> Iterator[Result]:
        """Results of frames, one after another, until they end or `stop` is called.

        Args:
            frames: what `veca_edge.open_source` opens (a camera's index; a video, image or folder; an address),
                such a source, or images: uint8 (H, W, 3), RGB.

        Raises:
            VecaError: there is no such source, or a frame is not an image.
        """
        if isinstance(frames, bool) or not isinstance(frames, (str, int, Path, np.integer)):
            wanted = "a path, an address, a camera's index, or something that yields images"
            check_many_images(frames, "session.update(image)", wanted)
        # Here and not in the generator, which begins with its first frame: a stop before that counts too.
        self._stopped.clear()
        return self._results(frames)

    def _results(self, frames: str | int | Path | Iterable[Image | Frame]) -> Iterator[Result]:
        with self, ExitStack() as stack:
            if isinstance(frames, (str, int, Path, np.integer)):
                frames = stack.enter_context(open_source(frames))
            for frame in frames:
                if self._stopped.is_set():
                    return
                yield self.update(_image_of(frame))

    def stop(self) -> None:
        """End the present `run` before its next frame, its first one included."""
        self._stopped.set()

    def update(self, frame: Image) -> Result:
        """The result for the next frame, with `point` and `reason`.

        At a lower frame rate than the target's, frames are left out: the last result stands, with latency 0.

        Raises:
            VecaError: not an image. The session goes on as if the frame had not come.
        """
        check_image(frame)  # of a frame that is left out nothing else would look
        now = self._clock()
        decision = self._decide(now)
        if self._last is not None and self._left_out(decision.point):
            self._account.frame(now, None, decision, self._decided)
            return self._standing(self._last, decision)
        result = self._compute(decision.point, frame)
        self._skipped = 0
        self._governor.frame(result.latency, None if result.computed is None else int(result.computed.sum()))
        self._account.frame(now, result.latency, decision, self._decided)
        self._last = replace(result, point=decision.point, reason=decision.reason, state=self._decided)
        return self._last

    def _standing(self, last: Result, decision: Decision) -> Result:
        """The same for a frame that was left out: nothing of it was computed."""
        nothing = np.zeros(last.features.shape[:2], np.bool_)
        return replace(
            last,
            computed=nothing,
            dense=nothing_computed(last.dense),
            keyframe=False,
            latency=0.0,
            reason=decision.reason,
            state=self._decided,
        )

    def _decide(self, now: float) -> Decision:
        state, before = _state_of(self._sensors), self._decided
        last = self._governor.last
        fresh = before is not None and now - before.time < DECISION_INTERVAL and state.thermal == before.thermal
        if last is None or not fresh:
            self._decided = replace(state, time=now)
            last = self._governor.decide(self._decided)
        return last

    def _left_out(self, point: OperatingPoint) -> bool:
        """Whether this frame is one too many for the point's rate."""
        if self._skipped + 1 >= round(self._target / point.rate):
            return False
        self._skipped += 1
        return True

    def _compute(self, point: OperatingPoint, frame: Image) -> Result:
        if point.patch_budget is None:
            return self.model(frame, cores=point.cores, image_size=point.image_size)
        height, width = frame.shape[:2]
        squares = self.model.preprocessing.squares(width, height, self.model.patch_size, point.image_size)
        return self._streamed(point, round(point.patch_budget * squares)).update(frame)

    def _streamed(self, point: OperatingPoint, budget: int) -> Stream:
        """The stream, set to the point. Another image size needs another stream, other cores a keyframe."""
        stream = self._stream
        if stream is None or stream.image_size != point.image_size:
            stream = self._stream = self.model.stream(point.cores, point.image_size)
        if stream.cores != point.cores:
            stream.cores = point.cores
        if stream.change.patch_budget != budget:
            stream.change = replace(stream.change, patch_budget=budget)
        return stream

    def __enter__(self) -> Session:
        self._sensors.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sensors.stop()


class _Account:
    """Adds up what a session does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = self._computed = self._switches = self._misses = 0
        self._start: float | None = None
        self._last = 0.0
        self._joules: float | None = None
        self._point: OperatingPoint | None = None
        self._seconds: defaultdict[OperatingPoint, float] = defaultdict(float)

    def frame(self, now: float, latency: float | None, decision: Decision, state: DeviceState | None) -> None:
        """Count a frame; latency None if it was left out."""
        with self._lock:
            if self._start is None or self._point is None:
                self._start, self._last = now, now
            else:
                self._seconds[self._point] += now - self._last
                self._switches += decision.point != self._point
            if state is not None and state.power is not None:
                self._joules = (self._joules or 0.0) + state.power * (now - self._last)
            self._last, self._point = now, decision.point
            self._frames += 1
            if latency is not None:
                self._computed += 1
                self._misses += latency * decision.point.rate > 1

    def read(self) -> SessionStatistics:
        with self._lock:
            seconds = 0.0 if self._start is None else self._last - self._start
            return SessionStatistics(
                self._frames,
                self._computed,
                seconds,
                dict(self._seconds),
                self._switches,
                self._misses,
                self._joules,
            )


class OverriddenSensors:
    """Sensors of which some values are replaced, to see how a session reacts."""

    def __init__(
        self,
        sensors: Sensors,
        battery: float | None = None,
        thermal: ThermalLevel | None = None,
        low_power: bool | None = None,
    ) -> None:
        """Args:
        battery, thermal, low_power: as in `DeviceState`, instead of what the sensors say; None for what they say.

        Raises:
            VecaError: no sensors, or a value that a device cannot have.
        """
        _check_sensors(sensors)
        if battery is not None and finite(battery, 0, 1) is None:
            raise VecaError(f"battery {shown(battery)}: use a charge from 0 to 1")
        if not isinstance(thermal, (ThermalLevel, type(None))):
            raise VecaError(f"thermal {shown(thermal)}: use a veca_edge.ThermalLevel, such as ThermalLevel.SERIOUS")
        if not isinstance(low_power, (bool, type(None))):
            raise VecaError(f"low_power {shown(low_power)}: use True or False")
        self._sensors = sensors
        given = {"battery": battery, "thermal": thermal, "low_power": low_power}
        self._values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

    @property
    def state(self) -> DeviceState:
        return replace(_state_of(self._sensors), **self._values)

    def start(self) -> None:
        self._sensors.start()

    def stop(self) -> None:
        self._sensors.stop()


def _check_sensors(sensors: object) -> None:
    if isinstance(sensors, type) or not all(hasattr(sensors, name) for name in ("state", "start", "stop")):
        raise VecaError(
            f"sensors {shown(sensors)}: use veca_edge.device_sensors(), or what has state, start and stop"
        )


def _state_of(sensors: Sensors) -> DeviceState:
    """What sensors say, which may be an app's own."""
    state = sensors.state
    if not isinstance(state, DeviceState):
        raise VecaError(f"the sensors' state is {shown(state)}: it must be a veca_edge.DeviceState")
    return state


def _image_of(frame: Image | Frame) -> Image:
    """The picture of a frame; what is neither is left for `update` to refuse."""
    if isinstance(frame, np.ndarray):
        return frame
    image: Image = getattr(frame, "image", frame)  # type: ignore[arg-type]
    return image


def device_sensors() -> Sensors:
    """The sensors of this device, as `Session` and `OverriddenSensors` take them."""
    from veca_edge.sensors.monitor import Monitor
    from veca_edge.sensors.platforms import detect

    return Monitor(detect())
