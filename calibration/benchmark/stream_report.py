"""A stream benchmark for readers: what `veca_edge.calibration.benchmark.report` is to a benchmark."""

from __future__ import annotations

from collections.abc import Iterator

from veca_edge.calibration.benchmark.report import Report, Table, busy, ms, report, surroundings
from veca_edge.calibration.benchmark.stream_rows import SOME_PATCHES, Host, StreamBenchmark, StreamRow
from veca_edge.calibration.benchmark.streams import TURN_FRAMES
from veca_edge.calibration.benchmark.synthetic import SCENES

DEARER = 1.1  # streamed / full from which streaming does harm
WAY = ("cores", "budget")


def describe(result: StreamBenchmark) -> Report:
    """The whole stream benchmark."""
    return report(result, warnings(result), tables(result), method(result), result.to_dict())


def tables(result: StreamBenchmark) -> Iterator[Table]:
    """Per clip, the pool first: time, and what it buys; then what the core budget saves."""
    for clip in dict.fromkeys(row.clip for row in result.rows):
        rows = [row for row in result.rows if row.clip == clip]
        frames = f"{rows[0].frames} frame{'s' if rows[0].frames > 1 else ''}"
        yield _time_table(f"{clip}, {frames}: time per frame, ms", rows)
        yield _work_table(f"{clip}: patches computed, and fidelity to full computation", rows)
        yield _host_table(f"{clip}: streaming's time outside the engine", rows)
    if result.spreads:
        yield _spread_table(result)


def _time_table(title: str, rows: list[StreamRow]) -> Table:
    most = max(row.cores for row in rows)
    columns = (
        *WAY,
        "full p50",
        "p95",
        "mean",
        "streamed p50",
        "p95",
        "p99",
        "mean",
        "ratio",
        f"vs. full {most}",
        "frames/s",
    )
    lines = tuple(
        (
            *_way(row),
            *map(ms, (row.full.p50, row.full.p95, row.full_mean)),
            *map(ms, (row.streamed.p50, row.streamed.p95, row.streamed.p99, row.streamed_mean)),
            f"{row.ratio:.2f}",
            f"{row.against_most:.1f} x",
            ms(1e3 / row.streamed_mean),
        )
        for row in rows
    )
    return Table(title, columns, lines)


def _work_table(title: str, rows: list[StreamRow]) -> Table:
    columns = (*WAY, "patches", "none", "keyframes", "cosine", "5th pct.", "worst", "same top-1")
    lines = tuple(
        (
            *_way(row),
            f"{row.patches:.1f}",
            str(row.idle),
            str(row.keyframes),
            *(f"{value:.4f}" for value in (row.fidelity.mean, row.fidelity.p5, row.fidelity.worst)),
            "-" if row.fidelity.top1 is None else f"{100 * row.fidelity.top1:.1f} %",
        )
        for row in rows
    )
    return Table(title, columns, lines)


def _host_table(title: str, rows: list[StreamRow]) -> Table:
    low, high = SOME_PATCHES
    columns = (*WAY, "all frames", "outside", "share", f"{low}-{high} patches", "their mean", "outside", "share")
    lines = tuple((*_way(row), *_host(row.host), *_host_some(row.host_some)) for row in rows)
    return Table(title, columns, lines)


def _host(host: Host) -> tuple[str, ...]:
    return (ms(host.frame_ms), ms(host.frame_ms * host.share), f"{100 * host.share:.0f} %")


def _host_some(host: Host | None) -> tuple[str, ...]:
    return ("0", "-", "-", "-") if host is None else (str(host.frames), *_host(host))


def _spread_table(result: StreamBenchmark) -> Table:
    few, most = result.spreads[0].fewest, result.spreads[0].most
    lines = tuple((one.clip, _budget(one.patch_budget), f"{one.ratio:.2f}") for one in result.spreads)
    return Table(
        f"Streaming with {most} cores takes, of the time with {few}", ("clip", "budget", "times"), lines, words=1
    )


def method(result: StreamBenchmark) -> Iterator[str]:
    """How it was measured, point by point."""
    yield (
        "For every frame, core budget and patch budget one call in full and one of the stream, both from a decoded "
        f"frame to the result, resizing included. Budgets take turns after {TURN_FRAMES} frames. First frames "
        "count; a warm-up comes before."
    )
    yield (
        f"{result.image_size} px, {result.patches} patches. Ratio: mean streamed time over mean full time with the "
        "same cores; beside it, how many times the full computation with the most cores takes as long."
    )
    yield (
        "Cosine: of a frame, the mean over its patches of the cosine between streamed and full features; mean, "
        "5th percentile and worst are over frames. None: frames for which nothing had to be computed."
    )
    yield "Outside the engine: resizing, cutting, finding change, copying what is remembered, results."
    for clip in dict.fromkeys(row.clip for row in result.rows):
        scene = SCENES.get(clip.partition(":")[2])
        if scene is not None:
            yield f"{clip}: {scene.shows}."
    yield from surroundings(result)


def warnings(result: StreamBenchmark) -> Iterator[str]:
    """Reasons not to trust the numbers, or not to stream."""
    others = busy(result)
    if others:
        yield f"{others}: close other programs and measure again"
    if result.threads > result.machine.usable_cores:
        yield f"{result.threads} threads share {result.machine.usable_cores} processors"
    for row in result.rows:
        if row.ratio > DEARER:
            way = f"{row.cores} cores, patch budget {_budget(row.patch_budget)}"
            yield f"streaming {row.clip} takes {row.ratio:.2f} times as long as computing all of it ({way})"


def _way(row: StreamRow) -> tuple[str, str]:
    return str(row.cores), _budget(row.patch_budget)


def _budget(patches: int | None) -> str:
    return "none" if patches is None else str(patches)
