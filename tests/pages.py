"""The pages of the repository (README.md beside the code, and others), and what a reader of them may try."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

# First words by which an indented line is known as a command; the others are layouts, formulas and output.
PROGRAMS = (
    *("veca-edge", "python", "python3", "pip", "make", "torchrun", "git", "cd", "apt", "unzip", "ssh"),
    *("adb", "briefcase", "gradle", "swift", "xcodegen"),
)
SHELLS = ("sh", "bash", "shell", "console")
FENCE = re.compile(r"^ *```(\w*)")
INDENTED = re.compile(rf"^(?: {{4,}}|\t)(?:\$ )?((?:{'|'.join(PROGRAMS)})(?: .*)?)$")
INLINE = re.compile(r"`(veca-edge [^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")
SOURCE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|swift|kt|toml))`")


@dataclass(frozen=True)
class Example:
    """A piece of a page.

    Attributes:
        page: relative to the repository.
        line: of its first line, from 1.
        text: a command line, code, a link, or what stands in backticks.
    """

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text.splitlines()[0][:70]}"


@dataclass(frozen=True)
class Page:
    """What a page holds, each in the order of its lines.

    Attributes:
        path: relative to the repository.
        commands: indented ones whose program is known, and every line of a block of shell.
        code: blocks of Python.
        mentions: `veca-edge` with options in the midst of a sentence.
        links: to other pages, to headings, to pictures.
        sources: paths of source files in backticks.
        headings: as GitHub makes anchors of them.
    """

    path: Path
    commands: tuple[Example, ...]
    code: tuple[Example, ...]
    mentions: tuple[Example, ...]
    links: tuple[Example, ...]
    sources: tuple[Example, ...]
    headings: frozenset[str]


def page_paths() -> list[Path]:
    """Every .md file of the repository, relative to it; the first one is README.md."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in ("build", "dist"))
        found += [Path(folder, name).relative_to(ROOT) for name in sorted(files) if name.endswith(".md")]
    return sorted(found, key=lambda path: (len(path.parts) > 1, path))


def read_page(path: Path) -> Page:
    """The page at a path relative to the repository."""
    blocks = list(_blocks((ROOT / path).read_text("utf-8")))
    prose = [(line, text) for line, language, text in blocks if language is None]

    def examples(pattern: re.Pattern[str]) -> tuple[Example, ...]:
        found = [(line, match) for line, text in prose for match in pattern.finditer(text)]
        return tuple(Example(path, line, next(filter(None, match.groups()))) for line, match in found)

    commands = [Example(path, line, text) for line, language, text in blocks for text in _commands(language, text)]
    return Page(
        path=path,
        commands=tuple(commands),
        code=tuple(Example(path, line, text) for line, language, text in blocks if language == "python"),
        mentions=examples(INLINE),
        links=examples(LINK),
        sources=examples(SOURCE),
        headings=frozenset(anchor(text) for _, text in prose if text.startswith("#")),
    )


def _blocks(text: str) -> Iterator[tuple[int, str | None, str]]:
    """Line number, language and text: of fenced blocks whole (of shell by line), of all else line by line."""
    lines = enumerate(text.splitlines(), 1)
    for number, line in lines:
        fence = FENCE.match(line)
        if fence is None:
            yield (number, None, _continued(line, lines))
            continue
        inside = []
        for inner, content in lines:
            if FENCE.match(content):
                break
            inside.append((inner, content))
        if fence[1] in SHELLS:
            rest = iter(inside)
            yield from ((inner, "sh", _continued(content, rest)) for inner, content in rest)
        else:
            yield (number + 1, fence[1], "\n".join(content for _, content in inside))


def _continued(line: str, following: Iterator[tuple[int, str]]) -> str:
    """A line with those that it goes on with after a backslash."""
    while line.endswith("\\"):
        line = f"{line[:-1].rstrip()} {next(following)[1].strip()}"
    return line


def _commands(language: str | None, text: str) -> list[str]:
    if language == "sh":
        found = text.removeprefix("$ ")
    else:
        match = INDENTED.match(text) if language is None else None
        found = match[1] if match else ""
    command = re.sub(r"(^|\s+)#.*", "", found)
    return [command] if command else []


def anchor(heading: str) -> str:
    """The name by which GitHub's links find a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower())
    return words.replace(" ", "-")
