"""The loop of a run: take a frame, run the model, show and write what came out."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from types import FrameType
from typing import Any

from veca_edge.arrays import Image
from veca_edge.camera.frames import Frame, Source
from veca_edge.encoding import visible
from veca_edge.errors import VecaError
from veca_edge.files import LineWriter
from veca_edge.gallery.gallery import Match
from veca_edge.governor.points import OperatingPoint
from veca_edge.playback.overlay import Hud
from veca_edge.playback.protocols import Remote, Runner, Screen, Shown
from veca_edge.playback.recording import Recording
from veca_edge.playback.request import RunRequest
from veca_edge.playback.summary import Summary, Tally
from veca_edge.playback.target_files import MaskWriter
from veca_edge.playback.teaching import Teaching
from veca_edge.playback.telling import hud_lines, labels_of, log_record, said_of
from veca_edge.playback.viewer import ViewState, apply_key, help_lines
from veca_edge.playback.views import Renderer
from veca_edge.playback.writers import VideoWriter, save_png
from veca_edge.runtime.result import Prediction, Result

DEFAULT_FPS = 30.0  # of a source that does not tell its rate
EARLY = 0.1  # of a period that a frame may come before its time
NAP = 0.05  # seconds: the longest wait between looks at the keyboard or at `stop`
Say = Callable[[str], None]


class Pacer:
    """Keeps a loop at or below a rate without piling up delay."""

    def __init__(
        self,
        fps: float | None,
        wait: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._period = 1 / fps if fps else 0.0
        self._wait = wait
        self._clock = clock
        self._due = -math.inf

    def pace(self) -> None:
        """Wait until a period has passed since the last call let go."""
        now = self._clock()
        if now < self._due:
            self._wait(self._due - now)
        self._due = max(self._due, now) + self._period


class Thinner:
    """Leaves out frames of a source that is faster than wanted, evenly by their times.

    Attributes:
        rate: frames per second to keep, or None for all of them.
    """

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._start, self._slot = 0.0, -1

    def takes(self, time: float) -> bool:
        """Whether the frame of this time, in seconds, is kept. A time before the last one's starts over."""
        if self.rate is None:
            return True
        slot = math.floor((time - self._start) * self.rate + EARLY)
        if self._slot < 0 or slot < self._slot:
            self._start, slot = time, 0
        elif slot == self._slot:
            return False
        self._slot = slot
        return True


class Player:
    """Plays a source through a runner until it ends, the user quits, or `stop` is called.

    Args:
        state: where to start: cores and view.
        request: what to show and write, and for how long.
        window: shows pictures and gives keys; None for headless.
        show: prints a line of results: the label of a single image.
        say: prints a line about the run.
        progress: called after every frame.
        remote: shows pictures elsewhere, beside a window or instead of one; None for nowhere.
        recording: of a device's state, to go along with the film; None for none.
        teaching: names that are recognised and taught on the way; None for the model's own labels.
    """

    def __init__(
        self,
        runner: Runner,
        source: Source,
        state: ViewState,
        request: RunRequest,
        window: Screen | None = None,
        show: Say = print,
        say: Say = print,
        progress: Callable[[], object] = lambda: None,
        remote: Remote | None = None,
        recording: Recording | None = None,
        teaching: Teaching | None = None,
    ) -> None:
        self._runner, self._source, self._request = runner, source, request
        self._state, self._window, self._progress = state, window, progress
        self._show, self._say = show, say
        self._thinner = Thinner(request.target_fps if request.thins(source.fps) else None)
        self._remote, self._recording, self._teaching = remote, recording, teaching
        self._tally = Tally()
        self._stopped = False
        self._ended = "end"
        self._began: float | None = None
        self._period: float | None = None
        self._newest: Result | None = None
        self._point: OperatingPoint | None = None
        self._video: VideoWriter | None = None
        self._log: LineWriter | None = None
        self._masks: MaskWriter | None = None
        self._head = state.head  # of the masks that are saved: those of one head, whichever is on show
        self._always_drawn = window is not None or request.save is not None
        self._renderer = Renderer(source.continuous) if self._always_drawn or remote is not None else None

    def stop(self, reason: str) -> None:
        """End the run after the frame in work. Safe in a signal handler."""
        self._ended = reason
        # Not an Event: its lock may be held by this very thread when a signal comes.
        self._stopped = True
        self._source.stop()

    def run(self) -> Summary:
        """Play to the end.

        Raises:
            StreamError: the source went away, or a file could not be written. Files hold what came before.
            VecaError: the source cannot be read, or an option cannot be followed.
        """
        start: float | None = None
        pacer = Pacer(self._rate(), self._wait)
        try:
            with ExitStack() as files:
                if self._request.log is not None:
                    self._log = files.enter_context(LineWriter(self._request.log, mark="latency_ms"))
                if self._request.save_masks is not None:
                    self._masks = MaskWriter(self._request.save_masks, self._head, self._source.continuous)
                if self._request.save is not None:
                    fps = self._thinner.rate or self._source.fps or DEFAULT_FPS
                    self._video = files.enter_context(VideoWriter(self._request.save, fps))
                pacer.pace()
                for frame in self._source:
                    start = time.monotonic() if start is None else start
                    if self._thinner.takes(frame.time):
                        self._one(frame)
                    else:
                        self._tally.skip()
                    if self._stopped or self._tally.frames == self._request.frames:
                        break
                    pacer.pace()
        finally:
            self._source.close()
        return self._summary(0.0 if start is None else time.monotonic() - start)

    def _rate(self) -> float | None:
        """The rate to keep: the user's limit, and for a file that someone watches the film's own pace."""
        rates = [self._request.fps_limit]
        if not (self._window is None and self._remote is None) and not self._source.live:
            rates.append(self._source.fps)
        return min((rate for rate in rates if rate), default=None)

    def _one(self, frame: Frame) -> None:
        self._measure(time.monotonic())
        if self._request.alternating:
            self._state = replace(self._state, cores=self._alternate(frame))
        if self._recording is not None:
            self._recording.move(frame.time)
        result = self._runner(frame.image, cores=self._state.cores, image_size=self._request.image_size)
        if self._recording is not None:
            self._recording.choose(result.cores)
        top, match = labels_of(result), self._recognise(result)
        if match is None:
            self._tally.add(result, top[0].label if top else None, result.sure)
        else:
            self._tally.add(result, match.label, match.sure)
        if self._log is not None:
            self._log.write(log_record(frame, result, match))
        if self._masks is not None:
            self._masks.write(frame, result.dense[self._head])
        self._tell(frame, result, match)
        if self._renderer is not None:
            self._present(self._renderer, frame, result, top)
        self._progress()

    def _recognise(self, result: Result) -> Match | None:
        return None if self._teaching is None else self._teaching.recognise(result)

    def _tell(self, frame: Frame, result: Result, match: Match | None) -> None:
        """A line for a single image; in a film a line for each decision, where no window shows it."""
        if not self._source.continuous:
            self._show(f"{visible(frame.name)}: {said_of(result, self._state.view == 'masks', match)}")
        elif self._window is None and result.point is not None and result.point != self._point:
            begin = "starting at" if self._point is None else "now"
            self._point = result.point
            why = "" if result.reason.startswith("start: ") else f": {result.reason}"
            self._say(f"{begin} {result.point}{why}")

    def _alternate(self, frame: Frame) -> int:
        """The budget whose second of film this frame belongs to."""
        second = int(frame.index / (self._source.fps or DEFAULT_FPS))
        return self._request.alternating[second % len(self._request.alternating)]

    def _present(self, renderer: Renderer, frame: Frame, result: Result, labels: Sequence[Prediction]) -> None:
        """Draw, save and show; in a pause and while a name is typed, keep showing this frame."""
        while True:
            hud, match, picture = self._hud(result), self._recognise(result), None
            if self._always_drawn or (self._remote is not None and self._remote.watched):
                # The page of a remote has its own place for the numbers.
                drawn = hud if self._always_drawn else None
                picture = renderer.render(self._state.view, frame.image, result, drawn, self._state.head, match)
            if picture is not None and not self._state.held:
                self._record(picture, frame)
            if self._window is not None and picture is not None:
                self._interact(self._window, renderer, picture)
            if self._remote is not None:
                taught = None if self._teaching is None else self._teaching.taught
                self._remote.show(Shown(picture, frame, result, hud, labels, self._state, match, taught))
                self._follow(self._remote, picture is not None)
            self._teach(result)
            if not self._state.held or self._stopped:
                return
            self._began = None  # the pause is not part of the frame rate
            if self._state.cores not in (result.cores, None):
                result = self._runner(frame.image, cores=self._state.cores, image_size=self._request.image_size)
                labels = labels_of(result)

    def _hud(self, result: Result) -> Hud:
        """The numbers to show; a frame that was left out has those of the one whose result it shows."""
        if result.latency:
            self._newest = result
        timed = self._newest or result
        return Hud(
            timed.cores,
            self._runner.budgets,
            timed.latency,
            1 / self._period if self._period and self._recording is None else None,
            timed.image_size,
            None if timed.computed is None else (int(timed.computed.sum()), timed.computed.size),
            "paused" if self._state.paused else "",
            hud_lines(result, self._recording is not None),
            None if self._recording is None else self._recording.graph(max(self._runner.budgets)),
        )

    def _interact(self, window: Screen, renderer: Renderer, picture: Image) -> None:
        """Show a picture and obey a key."""
        shown, state = picture, self._state
        if self._teaching is not None:
            shown = renderer.add_places(shown, self._teaching.taught, state.place, state.typing)
        window.show(renderer.add_lines(shown, help_lines(state)) if state.help else shown)
        self._state = apply_key(state, window.key(NAP if state.held else 0.001))
        if self._state.snapshot:
            self._state = replace(self._state, snapshot=False)
            self._snapshot(picture)
        if self._state.quit:
            self.stop("quit")

    def _teach(self, result: Result) -> None:
        """Do what keys and viewers have asked for, with the result on show."""
        commands, self._state = self._state.commands, replace(self._state, commands=())
        if self._teaching is not None:
            for command in commands:
                self._say(self._teaching.obey(command, result))

    def _follow(self, remote: Remote, drawn: bool) -> None:
        """Do as the viewers say; while paused without a window, wait until there is something new to draw."""
        before = self._state
        self._state = remote.steer(before, 0.0)
        while self._window is None and self._state == before and before.paused and not self._stopped:
            if remote.watched and not drawn:
                return
            self._state = remote.steer(before, NAP)

    def _record(self, picture: Image, frame: Frame) -> None:
        # A camera's frames arrive at the pace of the model, and those of a film may be unevenly far apart.
        if self._video is not None:
            self._video.write(picture, frame.time)

    def _snapshot(self, picture: Image) -> None:
        name = f"veca-{datetime.now():%Y%m%d-%H%M%S-%f}.png"
        try:
            save_png(self._request.snapshots / name, picture)
            self._say(f"saved {self._request.snapshots / name}")
        except VecaError as error:  # no reason to end the run
            self._say(str(error))

    def _measure(self, now: float) -> None:
        """Follow the time from frame to frame, over about the last ten."""
        if self._began is not None:
            period = now - self._began
            self._period = period if self._period is None else self._period + 0.1 * (period - self._period)
        self._began = now

    def _wait(self, seconds: float) -> None:
        """Sleep in short naps, so that `stop` is heeded soon."""
        end = time.monotonic() + seconds
        while not self._stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, NAP))

    def _summary(self, seconds: float) -> Summary:
        if self._ended == "end" and self._tally.frames == self._request.frames:
            self._ended = "frames"
        written = [self._video.path] if self._video is not None and self._video.frames else []
        written += [self._log.path] if self._log is not None and self._log.lines else []
        written += [self._teaching.path.resolve()] if self._teaching is not None and self._teaching.wrote else []
        written += [self._masks.folder] if self._masks is not None and self._masks.files else []
        return Summary(
            self._tally.frames,
            seconds,
            self._source.dropped,
            self._tally.times(),
            self._tally.labels(),
            self._tally.patches(),
            tuple(self._source.messages),
            tuple(map(str, written)),
            self._ended,
            self._tally.left_out,
            self._runner.statistics,
            self._source.continuous,
            self._tally.unsure,
            self._teaching is not None,
        )


@contextmanager
def stop_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `stop` with the signal's name; a second one interrupts at once."""
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, _: FrameType | None) -> None:
        for received, handler in before.items():
            signal.signal(received, handler)
        stop(signal.Signals(number).name)

    for name in (signal.SIGINT, signal.SIGTERM):
        before[name] = signal.getsignal(name)
        signal.signal(name, handle)
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
