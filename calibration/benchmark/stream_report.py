"""A benchmark of streams for readers."""

from __future__ import annotations

from collections.abc import Iterator

from veca_edge.calibration.benchmark.report import Report, disturbances, report, surroundings
from veca_edge.calibration.benchmark.stream_rows import SECOND, StreamBenchmark, StreamRow
from veca_edge.calibration.benchmark.streams import BLOCK_FRAMES
from veca_edge.calibration.benchmark.synthetic import SCENES
from veca_edge.numbers import counted
from veca_edge.tables import Table, milliseconds, number

HARMFUL = 1.1  # streamed / full from which streaming does harm
BUDGETS = ("cores", "budget")


def describe_streams(result: StreamBenchmark) -> Report:
    """The whole stream benchmark."""
    return report("stream benchmark", result, _warnings(result), _tables(result), _method(result))


def _tables(result: StreamBenchmark) -> Iterator[Table]:
    """Per clip, the pool first: time, and what it buys."""
    for clip in dict.fromkeys(row.clip for row in result.rows):
        rows = [row for row in result.rows if row.clip == clip]
        yield _time_table(f"{clip}, {counted(rows[0].frames, 'frame')}: time per frame, ms", rows)
        yield _work_table(f"{clip}: patches, the slowest second, fidelity to full computation", rows)


def _time_table(title: str, rows: list[StreamRow]) -> Table:
    most = max(row.cores for row in rows)
    full, streamed = ("full p50", "p95", "mean"), ("streamed p50", "p95", "p99", "mean")
    columns = (*BUDGETS, *full, *streamed, "outside", "ratio", f"vs. full {most}")
    lines = tuple(
        (
            *_budgets(row),
            *map(milliseconds, (row.full.p50, row.full.p95, row.full_mean)),
            *map(milliseconds, (row.streamed.p50, row.streamed.p95, row.streamed.p99, row.streamed_mean)),
            milliseconds(row.host.frame_ms * row.host.share),
            f"{row.ratio:.2f}",
            f"{row.against_most:.1f} x",
        )
        for row in rows
    )
    return Table(columns, lines, title)


def _work_table(title: str, rows: list[StreamRow]) -> Table:
    columns = (*BUDGETS, "patches", "none", "keyframes", "slowest s", "cosine", "5th pct.", "worst", "same top-1")
    lines = tuple(
        (
            *_budgets(row),
            f"{row.patches:.1f}",
            str(row.idle),
            str(row.keyframes),
            number(row.worst, ".2f"),
            *(f"{value:.4f}" for value in (row.fidelity.mean, row.fidelity.p5, row.fidelity.worst)),
            number(None if row.fidelity.top1 is None else 100 * row.fidelity.top1, ".1f", " %"),
        )
        for row in rows
    )
    return Table(columns, lines, title)


def _method(result: StreamBenchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    yield (
        "For every frame, core budget and patch budget one call in full and one of the stream, both from a decoded "
        f"frame to the result, resizing included. Budgets are interleaved in blocks of {BLOCK_FRAMES} frames. "
        "First frames count; a warm-up comes before."
    )
    yield (
        f"{result.image_size} px, {result.patches} patches. Ratio: mean streamed time over mean full time with the "
        "same cores; beside it, how many times the full computation with the most cores takes as long. Slowest s: "
        f"the largest such ratio over {SECOND} frames in a row, a second of a camera's."
    )
    yield (
        "Cosine: of a frame, the mean over its patches of the cosine between streamed and full features; mean, "
        "5th percentile and worst are over frames. None: frames for which nothing had to be computed."
    )
    yield "Outside (the engine), mean: resizing, cutting, finding change, copying what is remembered, results."
    for clip in dict.fromkeys(row.clip for row in result.rows):
        scene = SCENES.get(clip.partition(":")[2])
        if scene is not None:
            yield f"{clip}: {scene.shows}."
    yield from surroundings(result)


def _warnings(result: StreamBenchmark) -> Iterator[str]:
    """Reasons not to trust the numbers, or not to stream."""
    yield from disturbances(result)
    for row in result.rows:
        if row.ratio > HARMFUL:
            budgets = f"{row.cores} cores, patch budget {_budget(row.patch_budget)}"
            yield f"streaming {row.clip} takes {row.ratio:.2f} times as long as computing all of it ({budgets})"


def _budgets(row: StreamRow) -> tuple[str, str]:
    return str(row.cores), _budget(row.patch_budget)


def _budget(patches: int | None) -> str:
    return "none" if patches is None else str(patches)
