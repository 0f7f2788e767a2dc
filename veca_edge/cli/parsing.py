"""Option values that more than one command takes."""

from __future__ import annotations

import click


def parse_budgets(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Budgets such as "8,16,64", or None for "all"."""
    if text is None or text == "all":
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give core counts such as 8,16,64, or all") from None


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
