"""Tables of settings: dataclasses whose fields say what they mean and what they may be; read from plain values, and
written as TOML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_type_hints

from veca_edge.errors import VecaError, shown
from veca_edge.numbers import finite

Table = TypeVar("Table")
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def setting(default: Any, doc: str, least: float = 0, most: float = math.inf) -> Any:
    """A field with its explanation and its range; in a list the range holds for every element."""
    return field(default=default, metadata={"doc": doc, "least": least, "most": most})


def read_table(kind: type[Table], values: Any, where: str = "") -> Table:
    """Build a dataclass of settings from plain values; what is left out keeps its default.

    Raises:
        VecaError: an unknown name (the nearest one is suggested), a wrong type, or a value out of range.
    """
    if not isinstance(values, Mapping):
        raise VecaError(f"{where.rstrip('.') or 'the recipe'}: expected a table of settings, got {shown(values)}")
    names = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for name in values:
        if name not in names:
            near = get_close_matches(str(name), names, 1)
            hint = f": did you mean {where}{near[0]}?" if near else ""
            raise VecaError(f"unknown setting {where}{str(name)[:60]}{hint}")
    return kind(
        **{
            entry.name: _value(values[entry.name], hints[entry.name], f"{where}{entry.name}", entry.metadata)
            for entry in fields(kind)  # type: ignore[arg-type]
            if entry.name in values
        }
    )


def plain(settings: Any) -> dict[str, Any]:
    """The settings as JSON values, tables in tables; `read_table` gives the same settings back."""

    def value(item: Any) -> Any:
        if is_dataclass(item):
            return plain(item)
        return [value(part) for part in item] if isinstance(item, tuple) else item

    return {entry.name: value(getattr(settings, entry.name)) for entry in fields(settings)}


def render(settings: Any) -> str:
    """A table of settings as TOML, each with its explanation; tables in it follow under their names."""
    lines: list[str] = []
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            lines += ["", f"# {(type(value).__doc__ or '').splitlines()[0]}", f"[{entry.name}]"]
            lines += [_line(inner, getattr(value, inner.name)) for inner in fields(value)]
        else:
            lines.append(_line(entry, value))
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            lines += [f"#   {inner.name}: {inner.metadata['doc']}" for inner in fields(value[0])]
    return "\n".join(lines) + "\n"


def _value(value: Any, kind: Any, name: str, metadata: Mapping[str, Any]) -> Any:
    if is_dataclass(kind):
        return read_table(kind, value, f"{name}.")  # type: ignore[arg-type]
    if get_args(kind):  # tuple[X, ...]
        if not isinstance(value, list):
            raise VecaError(f"{name} is {shown(value)}: expected a list")
        return tuple(_value(item, get_args(kind)[0], name, metadata) for item in value)
    if kind is float and type(value) is int:
        value = value if finite(value) is None else float(value)
    if type(value) is not kind:
        raise VecaError(f"{name} is {shown(value)}: expected {KINDS[kind]}")
    if kind in (int, float) and not metadata["least"] <= value <= metadata["most"]:
        most = "" if metadata["most"] == math.inf else f" to {metadata['most']:g}"
        found = shown(value) if finite(value) is None else f"{float(value):g}"
        raise VecaError(f"{name} is {found}: expected {metadata['least']:g}{most or ' or more'}")
    if kind is float and not math.isfinite(value):
        raise VecaError(f"{name} is {value}: expected a finite number")
    return value


def _line(entry: Any, value: Any) -> str:
    return f"{entry.name} = {_toml(value)}".ljust(32) + f"  # {entry.metadata['doc']}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if is_dataclass(value):
        inner = (f"{entry.name} = {_toml(getattr(value, entry.name))}" for entry in fields(value))
        return f"{{ {', '.join(inner)} }}"
    return repr(value)


def flat(values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The values of tables in tables by their whole names, such as "optimizer.lr"."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        result |= flat(value, f"{where}{name}.") if isinstance(value, dict) else {f"{where}{name}": value}
    return result
