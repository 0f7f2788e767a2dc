"""`veca-edge convert` and `verify`, and `inspect` of what they made, as a user meets them."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ASSETS
from tests.paths import GOLDEN as GOLDEN_FOLDER
from veca_edge.playback.writers import save_png

pytest.importorskip("torch")
pytest.importorskip("coremltools")

GOLDEN = GOLDEN_FOLDER / "published-96.pt"
MODEL, PACKAGE = "published-96-int8.pte", "published-96-int8.mlpackage"


def _run(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veca_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def _is_one_line(result: subprocess.CompletedProcess[str], message: str) -> None:
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert message in result.stderr


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Both targets from one command, in a folder of their own."""
    folder = tmp_path_factory.mktemp("both")
    options = ["--target", "all", "--cores", "8,64", "--image-size", 64]
    return folder, _run("convert", GOLDEN, *options, folder=folder)


@pytest.fixture(scope="module")
def folder(both: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    return both[0]


def test_convert_says_what_it_made(both: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, result = both
    assert result.returncode == 0, result.stderr
    assert {path.name for path in folder.iterdir()} == {MODEL, PACKAGE}  # and nothing hidden is left
    assert result.stdout.count("verification passed") == 2
    methods = "encode_16, step_16, encode_64, step_64, encode_256, step_256, encode, step, cores_8, cores_64"
    assert f"10 methods ({methods}): one XNNPACK delegate each" in result.stdout
    assert "2 functions (cores_8, cores_64), default cores_64" in result.stdout
    assert result.stdout.count(", stored once for all") == 2
    quality = f"inspect {folder.resolve() / MODEL} --quality"
    assert f"\nwhat each run configuration keeps: veca-edge {quality}\n" in result.stdout  # of a .pte alone


def test_the_terminal_stays_clean(both: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    told = both[1].stderr
    lines = told.splitlines()
    assert " takes about " in lines[0]
    # On a busy machine a stage says every 10 s that it goes on.
    stages = [stage for stage, _ in itertools.groupby(line.split()[0] for line in lines[:-2])]
    assert stages[-5:] == ["verifying", "evaluating", "compressing", "writing", "verifying"]
    assert all(line.startswith("next: ") for line in lines[-2:])
    assert lines[-2].endswith("in an app: apps/android, apps/ios, apps/python-mobile, apps/desktop)")
    assert lines[-1].endswith("in an app: apps/ios")
    assert "\r" not in told  # no moving figures when nobody watches
    for noise in ("Warning", "warn", "coremltools", "torchao", "Failed"):
        assert noise not in told


@pytest.mark.parametrize(("name", "target"), [(MODEL, "executorch"), (PACKAGE, "coreml")])
def test_verify_repeats_the_comparison(folder: Path, name: str, target: str, tmp_path: Path) -> None:
    from veca_edge.photos.samples import sample_images

    for index, image in enumerate(sample_images()[:2]):
        save_png(tmp_path / f"{index}.png", image)
    result = _run("verify", folder / name, "--checkpoint", GOLDEN, "--data", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["passed"], facts["images"], facts["target"]) == (True, 2, target)
    assert {row["method"] for row in facts["rows"]} >= {"cores_8", "cores_64"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", MODEL], "was made from another checkpoint"),
        (["verify", PACKAGE], "was made from another checkpoint"),
        (["verify", MODEL, "--checkpoint", "nowhere.pt"], "nowhere.pt"),
        (["verify", PACKAGE, "--checkpoint", "nowhere.pt"], "nowhere.pt"),
        (["verify", MODEL, "--checkpoint", GOLDEN, "--data", "nowhere"], "no such file or folder"),
        (["verify", GOLDEN], "not a model file"),
        (["convert", "nowhere.pt"], "nowhere.pt"),
        (["convert", MODEL], MODEL),
        (["convert", GOLDEN, "--cores", "12"], "12 cores"),
        (["convert", GOLDEN, "-o", "."], "is a folder"),
        (["convert", GOLDEN, "-o", "missing/x.pte"], "no folder"),
        (["convert", GOLDEN, "--target", "coreml", "-o", "m.pte"], "ends in .mlpackage"),
        (
            ["convert", GOLDEN, "--target", "coreml", "--no-evaluate"],
            "--no-evaluate works with",
        ),
        (["convert", GOLDEN, "--classifier"], "--classifier works with --target coreml only"),
        (["convert", GOLDEN, "--backend", "coreml"], "no longer available: use --target coreml"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_status_2(folder: Path, arguments: list[object], message: str) -> None:
    _is_one_line(_run(*arguments, folder=folder), message)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("--cores", ["8;64", "many", ""], "give core counts such as 8,16,64"),
        ("--image-size", ["64;96", "big", "", "0", "64,-32"], "give pixels such as 256, or 256,384"),
    ],
)
def test_bad_numbers_are_a_usage_error(option: str, values: list[str], message: str) -> None:
    for value in values:
        result = _run("convert", GOLDEN, option, value)
        assert result.returncode == 2
        assert message in result.stderr


def test_inspect_shows_the_methods(folder: Path) -> None:
    result = _run("inspect", folder / MODEL)
    assert result.returncode == 0, result.stderr
    assert "1 delegate (XnnpackBackend), 0 operators outside" in result.stdout
    assert result.stderr == ""


def test_a_truncated_model_is_refused_everywhere(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.pte"
    shutil.copy(folder / MODEL, path)
    with path.open("rb+") as file:
        file.truncate(100_000)
    for command in (["inspect"], ["verify"], ["run", "--headless", "--source", ASSETS / "photos"]):
        _is_one_line(_run(command[0], path, *command[1:]), "cut.pte")


def test_a_damaged_package_is_refused(folder: Path, tmp_path: Path) -> None:
    package = tmp_path / "cut.mlpackage"
    shutil.copytree(folder / PACKAGE, package)
    with next(package.rglob("weight.bin")).open("rb+") as file:
        file.truncate(10_000)
    _is_one_line(_run("verify", package), "cut.mlpackage")


def test_without_coremltools_it_is_one_line() -> None:
    code = (
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'coremltools' else find(name, *a)\n"
        "from veca_edge.cli.main import main\nmain(['convert', '--target', 'coreml'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    _is_one_line(result, "this needs coremltools, which is not installed: pip install 'veca-edge[coreml]'")
