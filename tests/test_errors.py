from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from veca_edge.errors import LONGEST, VecaError, shown


def tangled() -> list[Any]:
    """A list with 2^60 leaves."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "'a'"),
        ("a\n\x1b", r"'a\n\x1b'"),
        (1.5, "1.5"),
        (True, "True"),
        (None, "None"),
        ((1,), "(1,)"),
        ([1, 2, 3, 4, 5], "[1, 2, 3, 4, ...]"),
        ({"a": [1]}, "{'a': [1]}"),
        (Path("a"), f"{Path('a')!r}"),
        (10**5000, "a whole number of 16610 bits"),
        (object(), "a object"),
        (deep(), "[[[[...]]]]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_shown_as_they_are_as_far_as_they_are_short(value: Any, text: str) -> None:
    assert shown(value) == text


def test_what_is_shown_is_short_and_quick() -> None:
    start = perf_counter()
    for value in (tangled(), {"a": tangled()}, "x" * 10**6, list(range(10**6)), {(1, 2): "y" * 10**6}):
        assert len(shown(value)) <= 60
    assert perf_counter() - start < 1


def test_a_message_is_one_line_of_bounded_length() -> None:
    text = str(VecaError("begin\n" + "x" * 10**6 + "\x1b[31m end"))
    assert len(text) <= LONGEST
    assert text.isprintable()
    assert (text[:6], text[-4:]) == ("begin ", " end")
