"""Requests, which are what a command was asked for: a frozen dataclass each, with a field per option."""

from __future__ import annotations

from collections.abc import Iterable


def given_options(request: object, names: Iterable[str]) -> list[str]:
    """Those of these fields that differ from their defaults, spelled as options: "--no-stream" turns stream off."""
    defaults = type(request)
    changed = (name for name in names if getattr(request, name) != getattr(defaults, name))
    return [f"--{'no-' if getattr(defaults, name) is True else ''}{name.replace('_', '-')}" for name in changed]
