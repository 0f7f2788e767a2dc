"""Changed samples given to readers in a child process, with limits on memory and time.

    python -m tests.fuzz.child FOLDER MODEL_FILE|- PACKAGE|- READER FIRST LAST

writes a line of JSON before each input (`at`), and one for each that raises something else than VecaError.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.readers import readers
from veca_edge.errors import LONGEST, VecaError

SECONDS = 10  # for one input
MEMORY = 1 << 30  # bytes more than the process had before
BATCH = 100  # inputs of one child


Samples = tuple[Path | None, Path | None]  # a model file and a package


@dataclass(frozen=True)
class Failure:
    """An input that a reader did not refuse as it should: its number makes it again."""

    reader: str
    number: int
    what: str


def fuzz(
    folder: Path, sample: tuple[Path | None, Path | None], reader: str, count: int, first: int
) -> Iterator[Failure]:
    """Give a reader so many changed samples.

    Args:
        folder: to write to.
        sample: of model files and packages, as far as there are.
        reader: see `readers`.
        count: of inputs.
        first: number of the first of them.
    """
    at, end = first, first + count
    named = [str(path or "-") for path in sample]
    while at < end:
        last = min(at + BATCH, end)
        command = [sys.executable, "-m", "tests.fuzz.child", str(folder), *named, reader, str(at), str(last)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        yield from (Failure(reader, line["number"], line["what"]) for line in lines if "what" in line)
        reached = max((line["at"] for line in lines if "at" in line), default=at)
        if done.returncode:
            hung = done.returncode == -signal.SIGALRM
            words = (done.stderr.strip().splitlines() or [""])[-1]
            what = f"takes over {SECONDS} s" if hung else f"ends the process ({done.returncode}): {words}"
            yield Failure(reader, reached, what)
            last = reached + 1
        at = last


def main(folder: str, model_file: str, package: str, name: str, first: str, last: str) -> None:
    """The child."""
    found = readers(*(None if path == "-" else Path(path) for path in (model_file, package)))
    reader, lines = found[name], os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    limited = False
    for number in range(int(first), int(last)):
        print(json.dumps({"at": number}), file=lines, flush=True)
        path = reader.prepare(Path(folder), random.Random(f"{name} {number}"))
        try:
            signal.alarm(SECONDS if limited else 6 * SECONDS)  # the first one imports what it needs
            reader.read(path)
        except VecaError as error:
            text = str(error)
            if not text.isprintable() or len(text) > LONGEST:
                print(json.dumps({"number": number, "what": f"its message: {text!r:.200}"}), file=lines, flush=True)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__}: {str(error)[:100]} ({where.filename}:{where.lineno})"
            print(json.dumps({"number": number, "what": what}), file=lines, flush=True)
        finally:
            signal.alarm(0)
        if not limited:
            limited = True
            _limit_memory()


def _limit_memory() -> None:
    import resource

    status = Path("/proc/self/statm")
    if status.exists():
        most = int(status.read_text().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main(*sys.argv[1:])
