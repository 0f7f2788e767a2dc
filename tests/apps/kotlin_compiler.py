"""The Kotlin compiler for the tests: fetched once by npm, its output kept by the sources' digest.

Both lie in the Python environment's folder, so that nothing is downloaded or compiled twice and the repository
stays clean.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

VERSION = "2.4.20"
HOME = Path(sys.prefix) / "share" / "veca-edge-tests"
JAVA = ("java", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")  # what suits a run of seconds


class NoCompilerError(Exception):
    """There is no compiler here; the text says why."""


def library() -> Path:
    """The compiler's folder of jars.

    Raises:
        NoCompilerError: java or npm is not installed, or the compiler cannot be fetched.
    """
    for tool in ("java", "node", "npm"):
        if shutil.which(tool) is None:
            raise NoCompilerError(f"{tool} is not installed")
    home = HOME / f"kotlin-compiler-{VERSION}"
    if not home.is_dir():
        _fetch(home)
    return home / "node_modules" / "kotlin-compiler" / "lib"


def compiled(sources: Sequence[Path], classpath: Iterable[Path] = (), options: Sequence[str] = ()) -> Path:
    """A jar of these sources (files, and folders of Java files to look up), compiled if they have changed.

    Raises:
        NoCompilerError: see `library`.
        AssertionError: the compiler refuses them; its messages.
    """
    lib, classpath = library(), list(classpath)
    jar = HOME / "compiled" / f"{_digest(sources, classpath, options)}.jar"
    if jar.is_file():
        return jar
    jar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        part = Path(folder) / "part.jar"
        main = ["org.jetbrains.kotlin.preloading.Preloader", "-cp", f"{lib / 'kotlin-compiler.jar'}"]
        command = [*JAVA, "-cp", f"{lib / 'kotlin-preloader.jar'}", *main]
        command += ["org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-reflect", *options, "-d", f"{part}"]
        command += ["-cp", os.pathsep.join(map(str, classpath))] if classpath else []
        found = _run([*command, *map(str, sources)], 300)
        assert found.returncode == 0, found.stdout + found.stderr
        part.replace(jar)
    return jar


def run(jar: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the jar's tests: `ai.vecaedge.MainKt`."""
    classpath = os.pathsep.join((str(jar), str(library() / "kotlin-stdlib.jar")))
    return _run([*JAVA, "-cp", classpath, "ai.vecaedge.MainKt", *arguments], 300)


def _run(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=seconds, check=False)


def _digest(sources: Sequence[Path], classpath: Iterable[Path], options: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((VERSION, options, [path.name for path in classpath])).encode())
    files = [file for path in sources for file in (sorted(path.rglob("*.*")) if path.is_dir() else [path])]
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:32]


def _fetch(home: Path) -> None:
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            options = ["--no-audit", "--no-fund", "--no-save", "--ignore-scripts"]
            package = f"kotlin-compiler@{VERSION}"
            found = _run(["npm", "install", "--prefix", f"{folder}/part", *options, package], 300)
            if found.returncode:
                raise NoCompilerError(f"npm cannot fetch {package}: {(found.stderr.splitlines() or [''])[-1]}")
            Path(folder, "part").replace(home)
    except (OSError, subprocess.TimeoutExpired) as error:
        if not home.is_dir():  # another run may have been first
            raise NoCompilerError(f"the Kotlin compiler cannot be fetched: {error}") from None
