from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.converters.checkpoints import random_checkpoint
from veca_edge.cli.inspect import nested_lines
from veca_edge.cli.main import main
from veca_edge.model.checkpoint import (
    default_checkpoint_path,
    default_preprocessing,
    read_checkpoint,
    write_checkpoint,
)
from veca_edge.model.flops import model_gflops
from veca_edge.modelfile.certainty import Certainty
from veca_edge.modelfile.heads import DenseHead, DenseTask, class_colours


def inspect(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_shows_the_packaged_checkpoint() -> None:
    result = inspect()
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert "everyday.pt  (checkpoint, 7.7 MB)" in lines[0]
    assert "  model       custom: 8 layers, 192 wide, 3 heads of 64" in lines
    assert "  parameters  3.80 M" in lines
    assert "  labels      accordion, airplane, anchor, ant, apple, asparagus, and 147 more" in lines
    assert "  image       256 px, crop" in lines
    table = lines[lines.index("GFLOPs per image") + 1 :]
    assert table[0].split() == [
        "cores",
        "256",
        "px",
        "384",
        "px",
        "512",
        "px",
        "768",
        "px",
        "1024",
        "px",
    ]
    assert [row.split()[0] for row in table[1:]] == ["8", "16", "24", "32", "40", "48", "56", "64"]
    assert len({len(row) for row in table}) == 1
    assert max(map(len, lines[1:])) <= 111


def test_json_has_everything(tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "mine.pt", random_checkpoint(num_heads=1, patch_size=14)
    write_checkpoint(replace(checkpoint, preprocessing=default_preprocessing(14)), path)
    result = inspect(path, "--json")
    facts = json.loads(result.stdout)
    assert (facts["kind"], facts["path"], facts["budgets"]) == ("checkpoint", str(path), [8, 16])
    assert (facts["head_classes"], facts["labels"]) == (0, [])
    assert facts["bytes"] == path.stat().st_size
    assert list(facts["gflops"]["8"]) == ["252", "378", "504", "756", "1022"]
    assert facts["gflops"]["16"]["504"] == model_gflops(checkpoint.config, 504, 16)
    assert "  head        none" in inspect(path).stdout


def test_shows_dense_heads_and_when_a_label_is_sure(tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "mine.pt", read_checkpoint(default_checkpoint_path())
    width, labels = checkpoint.config.feature_dim, ("background", "cat")
    tasks = (
        DenseTask("depth", "regression", 1, unit="m", range=(0.25, 5.0)),
        DenseTask("pets", "segmentation", 2, labels, class_colours(labels)),
    )
    dense = tuple(
        DenseHead(task, np.zeros((task.outputs, width), np.float32), np.zeros(task.outputs, np.float32))
        for task in tasks
    )
    write_checkpoint(replace(checkpoint, dense=dense, certainty=Certainty(1.5, 0.7, {"photos": 9})), path)
    lines = inspect(path).stdout.splitlines()
    assert "  dense head  depth, regression, 1 x 1 cells a patch: 0.25 to 5 m" in lines
    assert "  dense head  pets, segmentation, 2 x 2 cells a patch: background, cat" in lines
    assert "  sure        from 70 % on" in lines
    write_checkpoint(replace(checkpoint, dense=(), certainty=None), tmp_path / "bare.pt")
    facts, bare = (json.loads(inspect(of, "--json").stdout) for of in (path, tmp_path / "bare.pt"))
    assert facts["head_parameters"] - bare["head_parameters"] == (1 + 2 * 4) * (width + 1)
    assert (bare["heads"], bare["certainty"]) == ({}, None)


def test_model_files_are_told_apart_by_content(tmp_path: Path, default_model_file: Path) -> None:
    path = tmp_path / "anything.pt"
    path.write_bytes(default_model_file.read_bytes())
    facts = json.loads(inspect(path, "--json").stdout)
    assert (facts["kind"], facts["path"], facts["bytes"]) == ("model file", str(path), path.stat().st_size)
    assert set(facts["methods"]) >= {"encode", "step", "cores_8", "cores_64", "all methods share"}
    assert facts["methods"]["encode"].startswith("1 delegate (XnnpackBackend), 0 operators outside")
    lines = inspect(path).stdout.splitlines()
    assert lines[0] == f"{path}  (model file for ExecuTorch, int8, {path.stat().st_size / 1e6:.1f} MB)"
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    original = [line.split()[0] for line in inspect().stdout.splitlines() if line.startswith("  ")]
    assert [name for name in original[:11] if name in names] == [name for name in names if name in original[:11]]
    assert {"encode_64", "step_256", "cores_8"} <= set(names)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (list(range(20)), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, and 8 more"),
        ([], "none"),
        ({}, "none"),
        (0.123456789, "0.123457"),
    ],
)
def test_values_read_well(value: Any, text: str) -> None:
    assert list(nested_lines({"name": value})) == [f"name  {text}"]


def test_errors_are_one_line_with_status_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(b"nothing")
    for target in (path, tmp_path, tmp_path / "missing"):
        result = inspect(target)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"veca-edge: {target}: ")
        assert result.stderr.count("\n") == 1


def test_without_torch_it_says_what_to_install() -> None:
    code = (
        "import sys, importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else real(name, *rest)\n"
        "from veca_edge.cli.main import main\n"
        "main(['inspect'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "veca-edge: this needs torch, which is not installed: pip install 'veca-edge[run]'\n"
