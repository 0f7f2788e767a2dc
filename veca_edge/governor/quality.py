"""How good and how slow each run configuration is: tables, read from JSON, and the one number made of them."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite

JOULES = (1e-4, 1e6)  # of a frame: less or more is the doing of a counter that stands or jumps
MOST_ROWS = 1000  # more is damage or malice: every row is a run configuration that a device is measured in
# The least that each number of a row may be; the most is 1. The governor reads the measures, of which a table has
# always the cosines; figures are for people.
COSINES = {"embedding_cosine": -1, "feature_cosine": -1}
MEASURES = {**COSINES, "label_overlap": 0, "dense_agreement": 0}
FIGURES = {
    "embedding_p5": -1,
    "feature_p5": -1,
    "label_overlap_error": 0,
    "dense_agreement_error": 0,
    "accuracy": 0,
    "accuracy_error": 0,
    "miou": 0,
    "miou_error": 0,
    "top1_agreement": 0,
    "top1_error": 0,
}


class RunConfiguration(NamedTuple):
    """What is computed of a frame.

    Attributes:
        cores: active cores.
        image_size: pixels.
        patch_budget: most patches computed per frame, or None for all of them every time. It is for a square of
            `image_size` pixels: a wider frame gets as much for each square that it has.
    """

    cores: int
    image_size: int
    patch_budget: int | None = None


@dataclass(frozen=True)
class QualityRow:
    """How close one run configuration stays to the best one (all cores, largest image, every patch).

    The governor reads the first four; the others are for people. An error is a standard error over images, 0..1.

    Attributes:
        cores, image_size, patch_budget: the configuration.
        embedding_cosine: mean cosine of the image embeddings, -1..1.
        feature_cosine: mean cosine of the patch features, pooled over the image where the sizes differ, -1..1.
        label_overlap: what the classes' probabilities have in common, 1 - total variation, mean over images, 0..1;
            None for a model without a classifier.
        dense_agreement: how far dense heads draw the same, 0..1, mean over heads: mean IoU of a segmentation's
            classes, 1 - relative error of a regression's values; None without heads.
        embedding_p5, feature_p5: the cosine that one image in twenty falls below (5th percentile), -1..1.
        label_overlap_error, dense_agreement_error: their errors.
        accuracy, accuracy_error: share of the labelled photos whose first label is right, 0..1; None without any.
        miou, miou_error: mean IoU with the masks of photos that have some, 0..1; None without any.
        top1_agreement, top1_error: share of images with the same first label, 0..1, in tables of versions before
            the label overlap, where the governor reads it in its place.
        raw: what was measured, by name, where a measure was smoothed.
    """

    cores: int
    image_size: int
    patch_budget: int | None
    embedding_cosine: float
    feature_cosine: float
    label_overlap: float | None = None
    dense_agreement: float | None = None
    embedding_p5: float | None = None
    feature_p5: float | None = None
    label_overlap_error: float | None = None
    dense_agreement_error: float | None = None
    accuracy: float | None = None
    accuracy_error: float | None = None
    miou: float | None = None
    miou_error: float | None = None
    top1_agreement: float | None = None
    top1_error: float | None = None
    raw: Mapping[str, float] = field(default_factory=dict)

    @property
    def configuration(self) -> RunConfiguration:
        return RunConfiguration(self.cores, self.image_size, self.patch_budget)

    @property
    def measures(self) -> dict[str, float]:
        """What the governor reads, by name: the measures that exist."""
        labels = "top1_agreement" if self.label_overlap is None else "label_overlap"
        names = (*COSINES, labels, "dense_agreement")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def fidelity(self) -> float:
        """The measures as one number, 0..1: `fidelity`."""
        return fidelity(self.measures.values())


def fidelity(measures: Collection[float]) -> float:
    """The geometric mean of measures, each cut to 0..1; at least one.

    Geometric, because an app uses one of the outputs: good ones must not hide that another is useless.
    """
    return float(math.prod(min(1.0, max(0.0, measure)) for measure in measures) ** (1 / len(measures)))


@dataclass(frozen=True)
class Freshness:
    """What a result is still worth when the scene has moved on.

    Attributes:
        ages: seconds since the frame that the result is of, ascending from 0.
        worth: fidelity of such a result to the present frame's, 0..1; one per age.
    """

    ages: tuple[float, ...] = (0.0,)
    worth: tuple[float, ...] = (1.0,)

    def at(self, rate: float) -> float:
        """Mean worth of the latest result at this many results per second, 0..1.

        Between two results the last one is shown, so its age runs evenly from 0 to 1 / rate.
        """
        period, total = 1 / rate, 0.0
        inner = [0.0, *(age for age in self.ages if 0 < age < period), period]
        for start, end in itertools.pairwise(inner):
            total += (end - start) * (self._worth(start) + self._worth(end)) / 2
        return total / period

    def _worth(self, age: float) -> float:
        """Linear between the measured ages, the last one beyond them."""
        index = bisect_left(self.ages, age)
        if index == 0 or index == len(self.ages):
            return self.worth[min(index, len(self.ages) - 1)]
        low, high = self.ages[index - 1], self.ages[index]
        share = (age - low) / (high - low)
        return self.worth[index - 1] + share * (self.worth[index] - self.worth[index - 1])


@dataclass(frozen=True)
class QualityTable:
    """Quality of every run configuration, from the model file.

    Attributes:
        rows: one per configuration.
        freshness: what frame rate is worth; without a measurement every rate is worth the same.
        facts: what it was measured on and with, for people: "about" (a sentence), and as mappings "sample",
            "smoothed" and "made_with"; files of earlier versions have fewer.
    """

    rows: tuple[QualityRow, ...]
    freshness: Freshness = Freshness()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configurations(self) -> tuple[RunConfiguration, ...]:
        """Those that are measured, in the order of the rows."""
        return tuple(row.configuration for row in self.rows)

    def at_size(self, image_size: int) -> QualityTable:
        """The rows of one image size in pixels.

        Raises:
            VecaError: there are none.
        """
        rows = tuple(row for row in self.rows if row.image_size == image_size)
        if not rows:
            sizes = ", ".join(map(str, sorted({row.image_size for row in self.rows})))
            raise VecaError(f"{image_size} px was not evaluated at conversion: use one of {sizes}")
        return replace(self, rows=rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what was not measured is left out."""
        freshness = {name: list(values) for name, values in asdict(self.freshness).items()}
        return {"rows": [_plain(row) for row in self.rows], "freshness": freshness, **self.facts}

    @classmethod
    def of_file(cls, values: Mapping[str, Any], budgets: Sequence[int]) -> QualityTable | None:
        """The table of a model file, None if it has none.

        Args:
            values: from the manifest.
            budgets: core counts that the file offers.

        Raises:
            VecaError: as `from_dict`, or a row has other core counts.
        """
        if not values:
            return None
        table = cls.from_dict(values)
        for row in table.rows:
            if row.cores not in budgets:
                offered = ", ".join(map(str, budgets))
                raise VecaError(f"the quality table has {row.cores} cores, the model offers {offered}")
        return table

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QualityTable:
        """Read a table that `to_dict` wrote, such as a manifest's.

        Raises:
            VecaError: as `from_rows`, or it is no table at all.
        """
        rows, freshness = values.get("rows"), values.get("freshness")
        if not isinstance(rows, (list, tuple)) or not isinstance(freshness, (Mapping, type(None))):
            raise VecaError("the quality table is damaged: it needs a list of rows, and freshness as a mapping")
        facts = {name: value for name, value in values.items() if name not in ("rows", "freshness")}
        return replace(cls.from_rows(rows, freshness), facts=facts)

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], freshness: Mapping[str, Any] | None = None
    ) -> QualityTable:
        """Read a table from plain mappings, such as a manifest's.

        Args:
            rows: mappings with the names of `QualityRow`; other names are ignored.
            freshness: a mapping with `ages` and `worth`.

        Raises:
            VecaError: a value is missing or out of its range, or there are no rows.
        """
        found = tuple(_quality_row(row) for row in _mappings(rows, "quality"))
        return cls(found, Freshness() if freshness is None else _freshness(freshness))


@dataclass(frozen=True)
class LatencyRow:
    """How long a frame takes in one run configuration, on one device, over a clip or a profile.

    Attributes:
        cores, image_size, patch_budget: as in `QualityRow`.
        p50: median seconds of a frame, the usual case.
        p95: seconds that only one frame in twenty exceeds; in a stream those are the keyframes.
        mean: seconds, what energy is counted with. In a stream it may be below the median's neighbours: frames in
            which nothing changed cost next to nothing.
        computed: patches computed per frame, mean.
        base, patch_time: a frame in which `n` patches are computed takes `base + patch_time * n` seconds; a line
            through the frames that were not keyframes and had something to compute.
        joules: energy of a frame, mean: all that the processor uses while it is computed. None where no counter
            tells it.
    """

    cores: int
    image_size: int
    patch_budget: int | None
    p50: float
    p95: float
    mean: float
    computed: float
    base: float
    patch_time: float = 0.0
    joules: float | None = None

    @property
    def configuration(self) -> RunConfiguration:
        return RunConfiguration(self.cores, self.image_size, self.patch_budget)


@dataclass(frozen=True)
class LatencyTable:
    """Latency of every run configuration on one device."""

    rows: tuple[LatencyRow, ...]

    @property
    def configurations(self) -> set[RunConfiguration]:
        """Those that are measured."""
        return {row.configuration for row in self.rows}

    @property
    def energies(self) -> dict[RunConfiguration, float] | None:
        """Joules per frame; None unless every row has them, for there is one unit of cost for all."""
        known = {row.configuration: row.joules for row in self.rows if row.joules is not None}
        return known if len(known) == len(self.configurations) else None

    def scaled(self, factor: float) -> LatencyTable:
        """The table of a device that takes `factor` times as long, at the same power."""
        return LatencyTable(tuple(_scaled(row, factor) for row in self.rows))

    def to_rows(self) -> list[dict[str, Any]]:
        """Plain values, ready for JSON."""
        return [asdict(row) for row in self.rows]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> LatencyTable:
        """Read a table from plain mappings with the names of `LatencyRow`; other names are ignored.

        Raises:
            VecaError: a value is missing or out of its range, or there are no rows.
        """
        return cls(tuple(_latency_row(row) for row in _mappings(rows, "latency")))


def _scaled(row: LatencyRow, factor: float) -> LatencyRow:
    times = {name: getattr(row, name) * factor for name in ("p50", "p95", "mean", "base", "patch_time")}
    return replace(row, **times, joules=None if row.joules is None else row.joules * factor)


def _mappings(rows: Iterable[Any], kind: str) -> list[Mapping[str, Any]]:
    """The rows of a table, if they can be rows."""
    found = list(itertools.islice(rows, MOST_ROWS + 1))
    if not found:
        raise VecaError(f"the {kind} table is empty")
    if len(found) > MOST_ROWS:
        raise VecaError(f"the {kind} table has more than {MOST_ROWS} rows")
    if not all(isinstance(row, Mapping) for row in found):
        raise VecaError(f"the {kind} table is damaged: its rows must be names with numbers")
    return found


def _plain(row: QualityRow) -> dict[str, Any]:
    """What there is; a patch budget of None says something."""
    values = asdict(row).items()
    return {name: value for name, value in values if name == "patch_budget" or value not in (None, {})}


def _quality_row(row: Mapping[str, Any]) -> QualityRow:
    raw, least = row.get("raw", {}), MEASURES | FIGURES
    if not isinstance(raw, Mapping):
        raise VecaError("raw in the quality table is damaged: it must be names with numbers")
    names = [name for name in least if name in COSINES or row.get(name) is not None]
    numbers: dict[str, Any] = {name: _number(row, name, least[name], 1) for name in names}
    measured = {name: _number(raw, name, low, 1) for name, low in least.items() if name in raw}
    return QualityRow(*_configuration(row), **numbers, raw=measured)


def _latency_row(row: Mapping[str, Any]) -> LatencyRow:
    p50, p95, mean = (_number(row, name, 1e-6, 3600) for name in ("p50", "p95", "mean"))
    base, patch_time = (_number({name: 0, **row}, name, 0, 3600) for name in ("base", "patch_time"))
    joules = None if row.get("joules") is None else _number(row, "joules", *JOULES)
    return LatencyRow(
        *_configuration(row), p50, p95, mean, _number(row, "computed", 0, 1e6), base or p50, patch_time, joules
    )


def _configuration(row: Mapping[str, Any]) -> RunConfiguration:
    cores, size = (int(_number(row, name, 1, 1e6)) for name in ("cores", "image_size"))
    budget = row.get("patch_budget")
    return RunConfiguration(cores, size, None if budget is None else int(_number(row, "patch_budget", 1, 1e6)))


def _number(row: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = finite(row.get(name), low - 1e-5, high + 1e-5)  # cosines may exceed 1 by rounding
    if value is None:
        text = f"{name} {shown(row.get(name))}"
        raise VecaError(f"{text} in a table of operating points: use a number from {low:g} to {high:g}")
    return value


def _freshness(values: Mapping[str, Any]) -> Freshness:
    ages, worth = _numbers(values, "ages", 3600), _numbers(values, "worth", 1)
    if not ages or len(ages) != len(worth) or ages[0] != 0 or sorted(set(ages)) != list(ages):
        raise VecaError("the freshness table needs ascending ages from 0 and as many values of worth")
    return Freshness(ages, worth)


def _numbers(values: Mapping[str, Any], name: str, high: float) -> tuple[float, ...]:
    found = values.get(name)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise VecaError(f"the freshness table lacks {name}")
    return tuple(_number({name: value}, name, 0, high) for value in found)
