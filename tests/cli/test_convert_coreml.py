"""`veca-edge convert` and `verify` for Core ML, as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import GOLDEN

pytest.importorskip("torch")
pytest.importorskip("coremltools")

GOLDEN = GOLDEN / "published-96.pt"


def _run(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veca_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Both targets from one command."""
    folder = tmp_path_factory.mktemp("both")
    options = ["--budgets", "8,64", "--image-size", 64, "--no-judge"]
    return folder, _run("convert", GOLDEN, "--target", "all", *options, folder=folder)


def test_convert_makes_both_files_and_says_so(both: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, result = both
    assert result.returncode == 0, result.stderr
    assert {p.name for p in folder.iterdir()} == {"published-96-int8.pte", "published-96-int8.mlpackage"}
    assert result.stdout.count("verification passed") == 2
    assert "2 functions (cores_8, cores_64), default cores_64" in result.stdout
    assert "(once for all functions)" in result.stdout


def test_the_terminal_stays_clean(both: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    stages = [line.split()[0] for line in both[1].stderr.splitlines()]
    assert stages[-3:] == ["compressing", "writing", "verifying"]
    assert "\r" not in both[1].stderr
    for noise in ("Warning", "warn", "coremltools", "torchao", "Failed"):
        assert noise not in both[1].stderr


def test_verify_repeats_the_comparison(both: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    from veca_edge.photos.samples import sample_images
    from veca_edge.playback.writers import save_png

    for index, image in enumerate(sample_images()[:2]):
        save_png(tmp_path / f"{index}.png", image)
    package = both[0] / "published-96-int8.mlpackage"
    result = _run("verify", package, "--checkpoint", GOLDEN, "--images", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert (facts["passed"], facts["images"], facts["target"]) == (True, 2, "coreml")
    assert [row["method"] for row in facts["rows"]] == ["cores_8", "cores_64"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "MODEL"], "was made from another checkpoint"),
        (["verify", "MODEL", "--checkpoint", "nowhere.pt"], "nowhere.pt"),
        (
            ["convert", GOLDEN, "--target", "coreml", "--max-patches", 64],
            "--max-patches is for --target executorch only",
        ),
        (["convert", GOLDEN, "--target", "coreml", "--no-judge"], "--judge is for --target executorch only"),
        (
            ["convert", GOLDEN, "--backend", "coreml"],
            "--backend coreml is no longer available: use --target coreml",
        ),
        (["convert", GOLDEN, "--minimum-target", "iOS17"], "--minimum-target is for --target coreml only"),
        (["convert", GOLDEN, "--classifier"], "--classifier is for --target coreml only"),
        (
            ["convert", GOLDEN, "--quantize", "palette4"],
            "palette4 is for Core ML: XNNPACK takes int8, int4 or fp32",
        ),
        (["convert", GOLDEN, "--target", "all", "--quantize", "fp16"], "fp16 is for Core ML"),
        (["convert", GOLDEN, "--image-size", "64,96"], "several image sizes are for --target coreml"),
        (["convert", GOLDEN, "--target", "coreml", "-o", "m.pte"], "ends in .mlpackage"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_status_2(
    both: tuple[Path, subprocess.CompletedProcess[str]], arguments: list[object], message: str, tmp_path: Path
) -> None:
    package = both[0] / "published-96-int8.mlpackage"
    result = _run(*[package if value == "MODEL" else value for value in arguments], folder=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sizes", ["64;96", "big", "", "0", "64,-32"])
def test_bad_image_sizes_are_a_usage_error(sizes: str) -> None:
    result = _run("convert", GOLDEN, "--image-size", sizes)
    assert result.returncode == 2
    assert "give pixels such as 256, or 256,384" in result.stderr


def test_a_damaged_package_is_refused(both: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    package = tmp_path / "cut.mlpackage"
    shutil.copytree(both[0] / "published-96-int8.mlpackage", package)
    with next(package.rglob("weight.bin")).open("rb+") as file:
        file.truncate(10_000)
    result = _run("verify", package)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_without_coremltools_it_is_one_line() -> None:
    code = (
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'coremltools' else find(name, *a)\n"
        "from veca_edge.cli.main import main\nmain(['convert', '--target', 'coreml'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    wanted = "veca-edge: this needs coremltools, which is not installed: pip install 'veca-edge[coreml]'"
    assert result.stderr.strip() == wanted
