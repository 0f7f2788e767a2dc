"""The Kotlin library: its pure part over the golden files and with the real model; every source type-checked."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import veca_edge
from tests.apps import kotlin_compiler
from tests.apps.galleries import check_gallery
from tests.golden.dense_vectors import DEPTH, PEOPLE
from tests.known import known
from tests.paths import ASSETS, CLIP, GOLDEN, ROOT
from veca_edge.camera.sources import open_source
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.modelfile.heads import DenseHead
from veca_edge.modelfile.means import Means
from veca_edge.modelfile.pte import read_model_file, write_archive

pytestmark = pytest.mark.kotlin

ANDROID = ROOT / "apps" / "android"
STUBS = Path(__file__).parent / "android_stubs"
SERVER = Path(__file__).parent / "program_server.py"
NEWEST_STUBBED = 36  # the API level that the stand-ins for android.os have
# Facts that each suite must have checked at least: a suite that reads an empty folder must not pass.
PURE = {
    "governor": 13000,
    "preprocessing": 70,
    "patches": 60,
    "change": 1000,
    "stream": 8000,
    "results": 50,
    "dense": 700,
    "gallery": 250,
    "sensors": 70,
    "session": 20,
}
REAL = {"files": 30, "photos": 9, "clip": 2}

Image = NDArray[np.uint8]


def kotlin_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ANDROID / folder).rglob("*.kt"))


@pytest.fixture(scope="session")
def core() -> Path:
    """The pure part and its tests, compiled against what Java 8 has."""
    try:
        return kotlin_compiler.compiled(kotlin_files("core"), options=("-Xjdk-release=8",))
    except kotlin_compiler.NoCompilerError as error:
        pytest.skip(str(error))


def play(core: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return kotlin_compiler.run(core, [f"golden={GOLDEN}", f"folder={folder}", *arguments])


def check(report: subprocess.CompletedProcess[str], suite: str, least: int) -> None:
    said = "\n".join(line for line in report.stdout.splitlines() if line.startswith(suite))
    counts = re.search(rf"^{suite}: (\d+) held, (\d+) failed$", said, re.MULTILINE)
    assert counts, report.stdout + report.stderr
    assert counts[2] == "0", said
    assert int(counts[1]) >= least, said


@pytest.fixture(scope="session")
def pure_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pure part's tests write."""
    return tmp_path_factory.mktemp("kotlin")


@pytest.fixture(scope="session")
def pure_report(core: Path, pure_folder: Path) -> subprocess.CompletedProcess[str]:
    return play(core, pure_folder)


@pytest.mark.parametrize("suite", PURE)
def test_the_pure_part(suite: str, pure_report: subprocess.CompletedProcess[str]) -> None:
    check(pure_report, suite, PURE[suite])


@pytest.mark.usefixtures("pure_report")
def test_a_gallery_of_kotlins_is_read(pure_folder: Path) -> None:
    """What it read of Python's file, and an example of its own."""
    check_gallery(pure_folder / "kotlin.npz", "\u00e9crit par Kotlin")


def test_the_tests_can_fail(core: Path, tmp_path: Path) -> None:
    """A golden value that is wrong by a little is found."""
    golden = tmp_path / "golden"
    golden.mkdir()
    cases = json.loads((GOLDEN / "results.json").read_text())
    cases["head"][0]["logits"][0] += 0.01
    (golden / "results.json").write_text(json.dumps(cases))
    report = kotlin_compiler.run(core, [f"golden={golden}", f"folder={tmp_path}", "only=results"])
    assert report.returncode == 1
    assert "results FAILED: logits[0] is" in report.stdout


@pytest.fixture(scope="module")
def frames() -> Sequence[Image]:
    """Frames of the packaged clip in the model's own size, so that both sides see the same pixels."""
    fit = Preprocessing(256)
    with open_source(CLIP) as clip:
        return [fit.resize(frame.image, 16).image for frame, _ in zip(clip, range(24), strict=False)]


@pytest.fixture(scope="module")
def model_file(default_model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with two dense heads of random weights."""
    path, random = tmp_path_factory.mktemp("dense") / "dense.pte", np.random.default_rng(3)
    file = read_model_file(default_model_file)
    width = file.manifest.feature_dim
    dense = tuple(
        DenseHead(
            task,
            random.standard_normal((task.outputs, width)).astype(np.float32),
            random.standard_normal(task.outputs).astype(np.float32),
        )
        for task in (DEPTH, PEOPLE)
    )
    heads = {head.task.name: head.task.to_dict() for head in dense}
    manifest = replace(file.manifest, heads=heads, means=Means((0.5,) * width, (0.25,) * width, 16))
    shutil.copy(default_model_file, path)
    write_archive(replace(file, path=path, manifest=manifest, dense=dense), path)
    return path


@pytest.fixture(scope="module")
def real_run(
    core: Path, model_file: Path, frames: Sequence[Image], tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """The report of the checks that need a model, and what the clip's frames gave."""
    folder = tmp_path_factory.mktemp("kotlin")
    raw = folder / "frames.raw"
    raw.write_bytes(b"".join(struct.pack(">ii", f.shape[1], f.shape[0]) + f.tobytes() for f in frames))
    command = "\t".join((sys.executable, str(SERVER), str(model_file)))
    wanted = [f"model={model_file}", f"command={command}", f"photos={ASSETS / 'photos'}", f"frames={raw}"]
    report = play(core, folder, *wanted, f"only={','.join(REAL)}")
    said = folder / "clip.jsonl"
    return report, [json.loads(line) for line in said.read_text().splitlines()] if said.exists() else []


@pytest.mark.parametrize("suite", REAL)
def test_with_the_real_model(
    suite: str, real_run: tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]
) -> None:
    check(real_run[0], suite, REAL[suite])


def test_a_clip_gives_what_python_gives(
    real_run: tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]],
    model_file: Path,
    frames: Sequence[Image],
) -> None:
    """The same patches computed, the same results, frame after frame."""
    model = veca_edge.load(model_file, threads=1)
    stream, found = model.stream(cores=model.budgets[1]), real_run[1]
    assert len(found) == len(frames)
    some = 0
    for number, (frame, said) in enumerate(zip(frames, found, strict=True)):
        result = stream.update(frame)
        assert result.computed is not None
        assert result.logits is not None
        assert said["computed"] == np.flatnonzero(result.computed).tolist(), f"frame {number}"
        np.testing.assert_allclose(said["embedding"], result.embedding, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(said["logits"], result.logits, rtol=1e-3, atol=1e-3)
        assert said["dense"].keys() == result.dense.keys() == {"depth", "people"}
        for name, dense in result.dense.items():
            assert said["dense"][name]["computed"] == np.flatnonzero(known(dense.computed)).tolist()
            np.testing.assert_allclose(said["dense"][name]["cells"], dense.cells.ravel(), rtol=1e-3, atol=1e-3)
        some += int(0 < result.computed.sum() < result.computed.size)
    model.close()
    assert some > 3, "the clip did not show a step with remembered patches"


def android_jar() -> tuple[Path, int] | None:
    """The newest android.jar of the SDK that ANDROID_HOME names, or of Debian's packages, and its API level."""
    homes = [Path(home) for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT") if (home := os.environ.get(name))]
    found = [
        (int(jar.parent.name.removeprefix("android-")), jar)
        for home in [*homes, Path("/usr/lib/android-sdk")]
        for jar in home.glob("platforms/android-*/android.jar")
        if jar.parent.name.removeprefix("android-").isdecimal()
    ]
    return max(found)[::-1] if found else None


def guide_examples(folder: Path) -> list[Path]:
    """The guide's code: a whole file, and lines that stand for themselves in the order of the page."""
    guide = (ANDROID / "README.md").read_text()
    whole, *lines = re.findall(r"^```kotlin\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)
    assert len(lines) == 2
    names = ("ai.vecaedge.*", "ai.vecaedge.android.*", "ai.vecaedge.camera.RgbImage", "ai.vecaedge.gallery.*")
    imports = "".join(f"import {name}\n" for name in (*names, "android.content.Context", "java.io.File"))
    given = "context: Context, model: Model, photo: RgbImage, image: RgbImage, result: Result"
    wrapped = [f"fun lines{number}({given}) {{\n{text}}}\n" for number, text in enumerate(lines)]
    for name, text in (("Example.kt", whole), ("Lines.kt", "\n".join([imports, *wrapped]))):
        (folder / name).write_text(text)
    return [folder / "Example.kt", folder / "Lines.kt"]


def test_every_source_passes_the_compiler(core: Path, tmp_path: Path) -> None:
    """The Android part, the sample app and the guide's examples, against android.jar and stand-ins for the rest."""
    found = android_jar()
    if found is None:
        pytest.skip("no android.jar: set ANDROID_HOME, or install a package with one (libandroid-23-java)")
    jar, level = found
    stubs = [STUBS / "java", STUBS / "kotlin", *([STUBS / "api36"] if level < NEWEST_STUBBED else [])]
    sources = kotlin_files("vecaedge", "sample")
    assert len(sources) >= 8
    kotlin_compiler.compiled([*sources, *guide_examples(tmp_path), *stubs], classpath=(core, jar))


def test_the_pure_part_knows_no_android() -> None:
    for path in kotlin_files("core/src/main"):
        assert not re.search(r"^import (android|androidx|org\.pytorch)\.", path.read_text(), re.MULTILINE), path


def test_a_program_is_mapped_into_memory() -> None:
    """ExecuTorch reads the whole file where nobody asks for anything else."""
    text = "\n".join(path.read_text() for path in kotlin_files("vecaedge", "sample"))
    assert re.findall(r"\bModule\.load\(.*\)", text) == ["Module.load(file.path, Module.LOAD_MODE_MMAP, threads)"]


def test_no_source_is_long() -> None:
    for path in kotlin_files("core", "vecaedge", "sample"):
        assert len(path.read_text().splitlines()) < 400, path


def test_every_public_error_is_documented() -> None:
    kinds = re.findall(r"class (\w+)\(", (ANDROID / "core/src/main/kotlin/ai/vecaedge/VecaError.kt").read_text())
    guide = (ANDROID / "README.md").read_text()
    assert len(kinds) > 5
    assert not [kind for kind in kinds if f"`{kind}`" not in guide and kind != "VecaError"]
