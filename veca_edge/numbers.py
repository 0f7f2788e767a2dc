"""Numbers from files, sensors and callers: what can be one; and numbers in sentences."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

LARGEST = 2**31 - 1  # of whole numbers: what C, Swift and Kotlin call an int


def finite(value: object, low: float = -math.inf, high: float = math.inf) -> float | None:
    """`value` as a float if it is a finite number from `low` to `high`, else None. A bool is no number."""
    # The first comparison spares the slow one of abstract types: nearly all values are floats.
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, Real)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if low <= number <= high and math.isfinite(number) else None


def divided(value: Any, by: float) -> Any:
    """`value / by` of a finite number; anything else as it is, for whoever checks ranges to see."""
    number = finite(value)
    return value if number is None else number / by


def whole(value: object, low: int, high: int = LARGEST) -> int | None:
    """`value` as an int if it is a whole number from `low` to `high`, else None. A bool is no number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    number = int(value)
    return number if low <= number <= high else None


def counted(count: int, noun: str) -> str:
    """A count with its noun, in the plural unless it is 1: "1 frame", "3 frames", "2 switches"."""
    plural = f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"
