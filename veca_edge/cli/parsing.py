"""Option values that more than one command takes."""

from __future__ import annotations

import math

import click


def parse_budgets(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Budgets such as "8,16,64", or None for "all"."""
    if text is None or text == "all":
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give core counts such as 8,16,64, or all") from None


def parse_some_budgets(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    """Budgets such as "8,64", for a command that never takes all of them; None if not given."""
    if text == "all":
        raise click.BadParameter("'all': give core counts such as 8,64")
    return parse_budgets(context, parameter, text)


def parse_sizes(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Image sizes in pixels such as "256" or "256,384", or None."""
    if text is None:
        return None
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise click.BadParameter(f"{text!r}: give pixels such as 256, or 256,384")
    return sizes


def parse_drop(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """A share such as "0.5%" or "0.5 %" as 0.005, or None; the sign may be left out."""
    if text is None:
        return None
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise click.BadParameter(f"{text!r}: give a share such as 0.5%")
    return share


def parse_size(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    """Bytes such as "3.5MB" (millions), "900kB" or "4194304", or None."""
    if text is None:
        return None
    number, factor = text.strip().lower(), 1.0
    for unit, bytes_of in (("gb", 1e9), ("mb", 1e6), ("kb", 1e3)):
        if number.endswith(unit):
            number, factor = number.removesuffix(unit), bytes_of
            break
    try:
        size = float(number) * factor
    except ValueError:
        size = 0.0
    if not 1 <= size < 1e15:
        raise click.BadParameter(f"{text!r}: give a size such as 4MB")
    return int(size)


def parse_numbers(text: str) -> tuple[float, ...]:
    """Finite numbers such as "3,1"; none if any of them is none."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()
    return numbers if all(map(math.isfinite, numbers)) else ()
