"""JSON and TOML from outside: plain values of bounded size and depth, or one line that says what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from veca_edge.errors import VecaError, shown

MAX_JSON = 1 << 26  # bytes: the names of a million labels
MAX_TOML = 1 << 16  # bytes: ten times a recipe with every setting
MAX_DEPTH = 32  # tables and lists in each other; ours have five
MAX_BITS = 64  # of a whole number
MOST_TABLES = 1 << 24  # and lists, each of 64 to 200 bytes of memory; COCO's train2017 has 3.5 million
MAX_DOTS = 1000  # in a line of TOML: for a name of tables in tables the parser takes the square of their number
_TOO_DEEP = f"lists or tables lie in each other more than {MAX_DEPTH} deep"


def parse_json(text: str | bytes, most: int = MAX_JSON) -> Any:
    """The value of a JSON document.

    Args:
        text: the document; bytes in UTF-8, -16 or -32.
        most: bytes or characters of it.

    Raises:
        VecaError: not JSON, too large or deep, a name twice in a table, a whole number of more than 64 bits, or
            text that no encoding knows. The message does not name the document.
    """
    if len(text) > most:
        raise VecaError(f"is too large, more than {most >> 10} kB")
    lists, tables = ("[", "{") if isinstance(text, str) else (b"[", b"{")
    if text.count(lists) + text.count(tables) > MOST_TABLES:  # type: ignore[arg-type]
        raise VecaError(f"holds more than {MOST_TABLES} lists and tables")
    try:
        value = json.loads(text, object_pairs_hook=_table)
    except RecursionError:
        raise VecaError(_TOO_DEEP) from None
    except ValueError as error:  # of the syntax, of the encoding, or a number with thousands of digits
        raise VecaError(f"is not JSON: {error}") from None
    return _checked(value)


def parse_toml(data: bytes, most: int = MAX_TOML) -> dict[str, Any]:
    """The tables of a TOML document.

    Args:
        data: the document, in UTF-8.
        most: bytes of it.

    Raises:
        VecaError: as of `parse_json`.
    """
    if len(data) > most:
        raise VecaError(f"is too large, more than {most >> 10} kB")
    if max(line.count(b".") for line in data.split(b"\n")) > MAX_DOTS:
        raise VecaError(_TOO_DEEP)
    # Here, since only training needs it, and before 3.11 Python has none.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        tables: dict[str, Any] = toml.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise VecaError(_TOO_DEEP) from None
    except ValueError as error:  # of the syntax, of the encoding, a date that is none, or thousands of digits
        raise VecaError(f"is not TOML: {error}") from None
    _checked(tables)
    return tables


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise VecaError(f"has {shown(twice)} twice in one table")
    return table


def _checked(value: Any) -> Any:
    """The value, if it is not too deep and no number or text in it is one that ordinary code trips over."""
    level: Iterable[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            _check_leaf(item)
            if isinstance(item, dict):
                below += item
                below += item.values()
            elif isinstance(item, list):
                below += item
        if not below:
            return value
        level = below
    raise VecaError(_TOO_DEEP)


def _check_leaf(value: Any) -> None:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise VecaError(f"has {shown(value)}: use whole numbers of at most {MAX_BITS} bits")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise VecaError(f"has the text {shown(value)}, half of which is missing") from None
