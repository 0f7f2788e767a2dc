"""The pages of the repository (README.md beside the code, and others), and what a reader of them may try."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ASSETS, CLIP, ROOT
from veca_edge.errors import VecaError

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
FRAMES = 40  # of the clip, enough for the governor's first look

# By the beginning of a command, or all of it: why it is not run.
NOT_RUN = {
    r"veca-edge run(?!.*--headless)": "needs a camera or a screen, or waits for visitors",
    r"veca-edge run .*--(serve|source rtsp|camera)": "waits for visitors, or needs a camera",
    r"veca-edge bench": "minutes on a quiet machine; tests/cli/test_bench.py runs it at small sizes",
    r"veca-edge profile .*--compare-threads": "needs a process without open models; see tests/cli/test_profile.py",
    r"veca-edge train(?!.*--print-config)|torchrun": "hours; tests/cli/test_train.py trains a small model",
    r"veca-edge sensors .*--(watch|record)(?!.*--samples)": "goes on until Ctrl-C",
    r"veca-edge .*VOC2012": "needs the published weights and photos, and hours",
    r"veca-edge (train|evaluate|fit-head) .*(things|street)\b": "needs photos that are not in the repository",
    r"veca-edge average first": "needs what is trained on such photos",
    r"veca-edge .*…": "a pattern, not a command",
    r"make|pip|apt|git": "changes the machine, or needs a network",
    r"python (apps/python-mobile/prepare|tests/golden/\w+)\.py": "writes into the repository",
    r"python apps/desktop/demo\.py(?!.*--headless)": "needs a camera or a screen",
    r"unzip|ssh|adb|cd|briefcase|gradle|swift|xcodegen": "needs a program or a device that is not here",
}
# The same for what takes over ten seconds and has tests of its own: run with RUN_SLOW=1.
SLOW = {
    r"veca-edge calibrate": "tests/cli/test_calibrate.py",
    r"veca-edge convert(?! veca\.pt --target (executorch|coreml) --output [Vv]eca\.)": "tests/cli/test_convert*.py",
}
# The model files that pages name, and what makes them of the folder's checkpoint.
MADE = {
    "veca.pte": "veca-edge convert veca.pt --target executorch --output veca.pte",
    "Veca.mlpackage": "veca-edge convert veca.pt --target coreml --output Veca.mlpackage",
}


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


def matches(example: Example, table: Mapping[str, str]) -> bool:
    """Whether a table like `NOT_RUN` names this command."""
    return any(re.match(pattern, example.text) for pattern in table)


def make_folders(folder: Path, example: Example) -> None:
    """Make the folders into which a command writes model files, such as an app's."""
    for argument in example.text.split():
        if argument.endswith((".pte", ".mlpackage")):
            (folder / argument).parent.mkdir(parents=True, exist_ok=True)


def to_make(folder: Path, text: str) -> list[str]:
    """The commands that make what model files an example names and the folder lacks."""
    return [command for name, command in MADE.items() if name in text and not (folder / name).exists()]


def require_success(status: int, said: str) -> None:
    """Raise VecaError with what a failed command said, as conftest expects it where Python lacks a package."""
    if status:
        raise VecaError(said)


def furnish(folder: Path) -> None:
    """Put there what the pages speak of: checkpoints, clip.mp4, shelves, photo.jpg, photos/, labelled/, people/."""
    from tests.converters.checkpoints import random_checkpoint
    from tests.dense_sets import write_masks
    from veca_edge.model.checkpoint import write_checkpoint

    for name in ("veca.pt", "model.pt", "tuned.pt"):
        write_checkpoint(random_checkpoint(("milk", "juice", "bread"), num_cores=64), folder / name)
    shutil.copytree(ASSETS / "photos", folder / "photos")
    shutil.copy(ASSETS / "photos" / "milk.jpg", folder / "photo.jpg")
    for index, photo in enumerate(sorted((folder / "photos").glob("*.jpg"))):
        label = folder / "labelled" / ("milk", "juice")[index % 2]
        label.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, label)
    (folder / "people").mkdir()
    write_masks(folder / "people", train=4, val=2)
    _write_clip(folder / "clip.mp4")


def _write_clip(path: Path) -> None:
    import cv2

    clip = cv2.VideoCapture(str(CLIP))
    frames = [clip.read()[1] for _ in range(FRAMES)]
    for name, frame in (("shelf-1.jpg", frames[0]), ("shelf-2.jpg", frames[-1])):  # two looks at one scene
        cv2.imwrite(str(path.with_name(name)), frame)
    height, width, _ = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
    clip.release()
