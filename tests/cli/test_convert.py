"""`veca-edge convert`, `verify` and `inspect` as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import GOLDEN
from veca_edge.playback.writers import save_png

GOLDEN = GOLDEN / "published-96.pt"


def _run(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veca_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("converted")
    result = _run("convert", GOLDEN, "--budgets", "8,64", "--image-size", 64, folder=folder)
    return folder / "published-96-int8.pte", result


def test_convert_says_what_it_made(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    path, result = converted
    assert result.returncode == 0, result.stderr
    assert path.is_file()
    assert "verification passed" in result.stdout
    ladder = "encode_16, step_16, encode_64, step_64, encode_256, step_256, encode, step"
    assert f"10 methods ({ladder}, cores_8, cores_64): one XNNPACK delegate each" in result.stdout
    assert "\r" not in result.stderr  # no moving figures when nobody watches
    assert "verifying" in result.stderr


def test_nothing_else_is_left(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    path, _ = converted
    assert list(path.parent.iterdir()) == [path]


def test_verify_repeats_the_comparison(
    converted: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    from veca_edge.photos.samples import sample_images

    for index, image in enumerate(sample_images()[:2]):
        save_png(tmp_path / f"{index}.png", image)
    result = _run("verify", converted[0], "--checkpoint", GOLDEN, "--images", tmp_path, "--json")
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["passed"] is True
    assert facts["images"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "MODEL"], "was made from another checkpoint"),
        (["verify", "MODEL", "--checkpoint", "nowhere.pt"], "nowhere.pt"),
        (["verify", "MODEL", "--checkpoint", GOLDEN, "--images", "nowhere"], "no such folder"),
        (["verify", GOLDEN], "not a model file"),
        (["convert", "nowhere.pt"], "nowhere.pt"),
        (["convert", "MODEL"], "MODEL"),
        (["convert", GOLDEN, "--budgets", "12"], "12 cores"),
        (["convert", GOLDEN, "-o", "."], "is a folder"),
        (["convert", GOLDEN, "-o", "missing/x.pte"], "no folder"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_status_2(
    converted: tuple[Path, subprocess.CompletedProcess[str]], arguments: list[object], message: str
) -> None:
    model = converted[0]
    given = [model if value == "MODEL" else value for value in arguments]
    result = _run(*given, folder=model.parent)
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert message.replace("MODEL", str(model)) in lines[0]


@pytest.mark.parametrize("budgets", ["8;64", "many", ""])
def test_bad_budgets_are_a_usage_error(budgets: str) -> None:
    result = _run("convert", GOLDEN, "--budgets", budgets)
    assert result.returncode == 2
    assert "give core counts such as 8,16,64" in result.stderr


def test_inspect_shows_the_methods(converted: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    result = _run("inspect", converted[0])
    assert result.returncode == 0, result.stderr
    assert "1 delegate (XnnpackBackend), 0 operators outside" in result.stdout
    assert result.stderr == ""


def test_a_truncated_model_is_refused_everywhere(
    converted: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    path = tmp_path / "cut.pte"
    shutil.copy(converted[0], path)
    with path.open("rb+") as file:
        file.truncate(100_000)
    for command in (["inspect"], ["verify"], ["run", "--headless", "--source", tmp_path]):
        result = _run(command[0], path, *command[1:])
        assert result.returncode == 2
        assert len(result.stderr.strip().splitlines()) == 1
