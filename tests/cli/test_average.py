"""`veca-edge average` as a user meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from veca_edge.cli.main import main
from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint, write_checkpoint

PACKAGED = default_checkpoint_path()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model with 0.5 added to every weight but the heads'."""
    path, packaged = tmp_path_factory.mktemp("average") / "other.pt", read_checkpoint(PACKAGED)
    write_checkpoint(replace(packaged, state={name: value + 0.5 for name, value in packaged.state.items()}), path)
    return path


def average(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["average", *map(str, arguments)])


def test_the_mean_is_a_checkpoint(other: Path, tmp_path: Path) -> None:
    output = tmp_path / "mean.pt"
    done = average(PACKAGED, other, "--output", output, "--parts", "4,1")
    assert (done.exit_code, done.stdout) == (0, f"{output}: the mean of 2 checkpoints, 7.66 MB\n")
    left_out, following = done.stderr.splitlines()
    assert left_out.startswith("veca-edge: how sure one must be of a label is not averaged: ")
    assert following == f"next: veca-edge evaluate {output} --data DIR"
    packaged, mean = read_checkpoint(PACKAGED), read_checkpoint(output)
    for name, value in mean.state.items():
        torch.testing.assert_close(value, packaged.state[name] + 0.1, atol=2e-3, rtol=2e-3)  # half precision
    assert (mean.labels, mean.certainty) == (packaged.labels, None)


def test_json(other: Path, tmp_path: Path) -> None:
    output = tmp_path / "mean.pt"
    done = average(PACKAGED, other, "-o", output, "--json")
    assert json.loads(done.stdout) == {"output": str(output), "bytes": output.stat().st_size}
    assert "next:" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["{packaged}"], "one checkpoint is its own mean: name two or more"),
        (["{packaged}", "{other}", "--parts", "1"], "1 part for 2 checkpoints: give one for each, such as 3,1"),
        (["{packaged}", "{other}", "--parts", "1,nan"], "'1,nan': give a number for each checkpoint"),
        (["{packaged}", "{other}", "--parts", "1,x"], "'1,x': give a number for each checkpoint, such as 3,1"),
        (
            ["{packaged}", "{other}", "--parts", "1,1e400"],
            "'1,1e400': give a number for each checkpoint",
        ),
        (["{packaged}", "{other}", "{other}"], "is named twice: name it once, and how much it counts with --parts"),
        (["{packaged}", "{photo}"], "photo.png: "),
    ],
)
def test_misuse_is_one_line(other: Path, tmp_path: Path, arguments: list[str], line: str) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n")
    names = {"packaged": PACKAGED, "other": other, "photo": tmp_path / "photo.png"}
    done = average(*(argument.format(**names) for argument in arguments), "--output", tmp_path / "mean.pt")
    assert done.exit_code == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "mean.pt").exists()


def test_nothing_is_overwritten(other: Path, tmp_path: Path) -> None:
    before = other.read_bytes()
    assert "would overwrite one of the checkpoints" in average(PACKAGED, other, "--output", other).stderr
    assert "let its name end in .pt" in average(PACKAGED, other, "--output", tmp_path / "mean.pte").stderr
    assert other.read_bytes() == before
