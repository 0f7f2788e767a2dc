"""What happened in a run, in numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from veca_edge.encoding import visible
from veca_edge.gallery.gallery import UNKNOWN
from veca_edge.modelfile.certainty import NOT_SURE
from veca_edge.numbers import counted
from veca_edge.runtime.result import Result, computed_patches
from veca_edge.session import SessionStatistics

LABELS_KEPT = 5


@dataclass(frozen=True)
class BudgetTimes:
    """Latency at one core count: how many frames, and its median and 95th percentile in seconds."""

    cores: int
    frames: int
    p50: float
    p95: float


@dataclass(frozen=True)
class LabelShare:
    """A label, and the share of frames (0 … 1) in which it was shown as the best one."""

    label: str
    share: float


@dataclass(frozen=True)
class PatchCounts:
    """Patches computed and in all, means per frame, and the number of keyframes."""

    computed: float
    total: float
    keyframes: int


@dataclass(frozen=True)
class Summary:
    """A run's numbers.

    Attributes:
        frames: of the source.
        seconds: from the first frame's arrival to the end of the last.
        dropped: frames of a live source that came too fast.
        times: one entry per core count used, ascending.
        labels: the labels that were shown as the best one most often, at most 5.
        patches: how many were computed, if frames were streamed.
        messages: what the source had to tell.
        paths: files written.
        stopped: how it ended: "end", "frames", "quit" or the name of a signal.
        left_out: of `frames`, those that the model did not run on, for a rate that was named or chosen.
        governor: what it did, of a session; else None.
        unsure: of `frames`, those whose best label the model was not sure of; of these none is among `labels`.
        continuous: whether the frames followed each other as in a film; False for separate images.
        taught: whether the labels are a gallery's names.
    """

    frames: int
    seconds: float
    dropped: int
    times: tuple[BudgetTimes, ...]
    labels: tuple[LabelShare, ...]
    patches: PatchCounts | None = None
    messages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    stopped: str = "end"
    left_out: int = 0
    governor: SessionStatistics | None = None
    continuous: bool = True
    unsure: int = 0
    taught: bool = False

    @property
    def fps(self) -> float:
        """Frames per second over the whole run, 0 without frames."""
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; times in milliseconds."""
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "dropped": self.dropped,
            "left_out": self.left_out,
            "latency_ms": [
                {"cores": t.cores, "frames": t.frames, "p50": ms(t.p50), "p95": ms(t.p95)} for t in self.times
            ],
            "labels": [{"label": entry.label, "share": round(entry.share, 4)} for entry in self.labels],
            "unsure": self.unsure,
            "patches": None if self.patches is None else asdict(self.patches),
            "messages": list(self.messages),
            "paths": list(self.paths),
            "stopped": self.stopped,
            "governor": None if self.governor is None else _governor_facts(self.governor),
        }

    def lines(self) -> list[str]:
        """The same for reading."""
        kind, rate = ("frame", "fps") if self.continuous else ("image", "per second")
        lines = [f"{counted(self.frames, kind)} in {self.seconds:.1f} s ({self.fps:.1f} {rate})"]
        if self.dropped:
            lines.append(f"{counted(self.dropped, 'frame')} dropped: they came too fast")
        if self.left_out:
            lines.append(f"{counted(self.left_out, 'frame')} left out for a lower frame rate")
        for t in self.times:
            lines.append(
                f"{t.cores:3d} cores: latency {ms(t.p50):.1f} ms median, {ms(t.p95):.1f} ms p95 "
                f"({counted(t.frames, kind)})"
            )
        if self.patches is not None:
            lines.append(
                f"computed {self.patches.computed:.1f} of {self.patches.total:.0f} patches per frame, "
                f"{counted(self.patches.keyframes, 'keyframe')}"
            )
        if self.governor is not None:
            points = "; ".join(f"{point} ({seconds:.1f} s)" for point, seconds in _spent(self.governor))
            switches, late = counted(self.governor.switches, "switch"), counted(self.governor.misses, "late frame")
            lines.append(f"governor: {switches}, {late}")
            lines += [f"  {points}"] if points else []
        if self.labels and self.continuous:  # separate images have a line each
            shares = (f"{entry.label} in {100 * entry.share:.0f} % of frames" for entry in self.labels)
            lines.append(f"first label: {', '.join(shares)}")
        if self.unsure:
            said, advice = (UNKNOWN, "") if self.taught else (NOT_SURE, ": see --min-confidence")
            lines.append(f"{said} in {self.unsure} of {counted(self.frames, kind)}{advice}")
        lines += [f"wrote {visible(str(path))}" for path in self.paths]
        return lines


def _spent(told: SessionStatistics) -> list[tuple[str, float]]:
    """Operating points and the seconds spent at each, the longest first."""
    spent = sorted(told.seconds_at.items(), key=lambda item: -item[1])
    return [(str(point), seconds) for point, seconds in spent]


def _governor_facts(told: SessionStatistics) -> dict[str, Any]:
    """Plain values, ready for JSON."""
    return {
        "switches": told.switches,
        "misses": told.misses,
        "joules": told.joules,
        "seconds_at": {point: round(seconds, 3) for point, seconds in _spent(told)},
    }


class Tally:
    """Counts along a run."""

    def __init__(self) -> None:
        self.frames = self.left_out = self.unsure = 0
        self._latencies: dict[int, list[float]] = defaultdict(list)
        self._first: Counter[str] = Counter()
        self._patches: list[tuple[int, int, bool]] = []

    def add(self, result: Result, best: str | None, sure: bool = False) -> None:
        """Count a frame: its best label or name, None without any, and whether that was worth showing."""
        self.frames += 1
        if best is not None and sure:
            self._first[best] += 1
        elif best is not None:
            self.unsure += 1
        if not result.latency:  # left out: the last result stands
            self.left_out += 1
            return
        self._latencies[result.cores].append(result.latency)
        if result.computed is not None:
            self._patches.append((computed_patches(result), result.computed.size, result.keyframe))

    def skip(self) -> None:
        """Count a frame that the model does not see."""
        self.frames += 1
        self.left_out += 1

    def times(self) -> tuple[BudgetTimes, ...]:
        return tuple(
            BudgetTimes(cores, len(values), float(np.percentile(values, 50)), float(np.percentile(values, 95)))
            for cores, values in sorted(self._latencies.items())
        )

    def patches(self) -> PatchCounts | None:
        if not self._patches:
            return None
        computed, total, keyframes = np.array(self._patches, float).T
        return PatchCounts(round(float(computed.mean()), 2), round(float(total.mean()), 2), int(keyframes.sum()))

    def labels(self) -> tuple[LabelShare, ...]:
        best = self._first.most_common(LABELS_KEPT)
        asked = sum(self._first.values()) + self.unsure
        return tuple(LabelShare(label, count / asked) for label, count in best)


def ms(seconds: float) -> float:
    """Seconds to milliseconds, to a hundredth."""
    return round(seconds * 1000, 2)
