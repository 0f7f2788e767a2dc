"""What `veca-edge inspect --ane` says of a Core ML package."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from veca_edge.cli.progress import Stages
from veca_edge.cli.tables import alike

WIDTH = 100
SAMPLE_STEP = 4  # every fourth packaged photo is enough for magnitudes, and takes seconds instead of minutes
FIRST_NAMES = 3
EFFECTS = {"leaves": "may leave it", "wrong": "may be wrong there", "slow": "may be slow there"}
CLOSING = (
    "Apple publishes no list of what runs there. It differs by chip, system and size, and Core ML may choose "
    "another processor anyway: models under about 50 MB often stay on the CPU [FluidInference/FluidAudio "
    "Documentation/ANE_Profiler.md]. Xcode's performance report on the device has the last word."
)


def neural_engine_facts(path: Path, images: Path | None, stages: Stages | None) -> dict[str, Any]:
    """The review of a package's operations, and its values' ranges on real images, as plain values.

    Args:
        path: the package.
        images: a folder; None for some of the packaged photos.
        stages: to report progress to.

    Raises:
        VecaError: a damaged package, or images that cannot be read.
    """
    from veca_edge.converters.coreml.neural_engine.facts import describe_placement, describe_ranges
    from veca_edge.photos.evaluation import read_images
    from veca_edge.photos.samples import sample_images

    facts = describe_placement(path)
    chosen = sample_images()[::SAMPLE_STEP] if images is None else read_images(images, len(sample_images()))
    progress = (lambda _: None) if stages is None else partial(stages, "measuring ranges")
    return facts | {"ranges": describe_ranges(path, chosen, progress)}


def neural_engine_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """The facts for a terminal."""
    functions = facts["functions"]
    for names, placement in alike(functions):
        yield ""
        yield f"Neural Engine, {names if names == 'all functions' else f'function {names}'}"
        yield from _placement_lines(placement)
    yield ""
    yield from _wrapped("seen on it in other models", "; ".join(_seen_texts(facts["seen"])) or "none")
    yield from _wrapped("", CLOSING)
    yield ""
    yield from _range_lines(facts["ranges"])


def _placement_lines(placement: Mapping[str, Any]) -> Iterator[str]:
    for finding in placement["findings"]:
        names = finding["operations"]
        more = f" and {len(names) - FIRST_NAMES} more" if len(names) > FIRST_NAMES else ""
        where = ", ".join(names[:FIRST_NAMES]) + more
        yield from _wrapped(f"{EFFECTS[finding['effect']]} ({finding['evidence']})", f"{finding['rule']}: {where}")
        yield from _wrapped("", f"{finding['reason']} [{'; '.join(finding['sources'])}]")
    if not placement["findings"]:
        yield "  no operation that is known to fall back to another processor"
    yield from _wrapped("no report of a fallback", ", ".join(placement["seen"] + placement["no_report"]) or "none")


def _seen_texts(seen: Mapping[str, str]) -> Iterator[str]:
    """Kinds by source."""
    by_source: dict[str, list[str]] = {}
    for kind, source in seen.items():
        by_source.setdefault(source, []).append(kind)
    return (f"{', '.join(kinds)} [{source}]" for source, kinds in by_source.items())


def _range_lines(ranges: Mapping[str, Any] | None) -> Iterator[str]:
    if ranges is None:
        yield "float16 ranges: not measured, the package was made by another tool"
        return
    rows = ranges["worst"]
    several = f", the worst of {len(ranges['functions'])} functions" if len(ranges["functions"]) > 1 else ""
    yield f"float16 ranges on {ranges['images']} images{several} (float16 ends at 65504)"
    width = max(len(row["variable"]) for row in rows)
    yield f"  {'layer':<17}  {'largest':>10}  {'of 65504':>8}  {'at':<{width}}  tiny values"
    for row in rows:
        largest = "-" if row["largest"] is None else f"{row['largest']:.4g}"
        share = "-" if row["share"] is None else f"{100 * row['share']:.2f} %"
        mark = "" if row["state"] == "fits" else f"  {row['state'].upper()}"
        tiny = f"{100 * row['tiny_share']:5.1f} % of {row['tiny_variable']}"
        yield f"  {row['layer']:<17}  {largest:>10}  {share:>8}  {row['variable']:<{width}}  {tiny}{mark}"
    yield from _wrapped("", _range_note(ranges["warn_from_share"]))
    beyond = [row["layer"] for row in rows if row["state"] != "fits"]
    verdict = f"near the end of float16 or beyond it: {', '.join(beyond)}" if beyond else "all values fit"
    yield f"  {verdict}"


def _range_note(warn_from: float) -> str:
    return (
        f"A layer is marked from {warn_from:.0%} of 65504 on: one photo's largest value was up to 3.4 times "
        "another's. Tiny: below 6.1e-5, where float16 loses digits; after a softmax or a silu that does no harm. "
        "Values inside an operation (attention scores, sums of a norm) are not measured."
    )


def _wrapped(title: str, text: str) -> Iterator[str]:
    """A paragraph under a title, indented."""
    head = f"  {title}: " if title else "    "
    yield from textwrap.wrap(
        text, WIDTH, initial_indent=head, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
