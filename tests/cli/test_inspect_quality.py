"""`veca-edge inspect --quality`: the table for people, as JSON and as a picture."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from veca_edge.cli.main import main
from veca_edge.cli.quality_table import quality_lines, read_quality
from veca_edge.errors import VecaError
from veca_edge.governor.quality import QualityTable
from veca_edge.model.checkpoint import default_checkpoint_path
from veca_edge.modelfile.pte import read_model_file, write_model_file

ROW = {"cores": 8, "image_size": 128, "patch_budget": None, "embedding_cosine": 0.9, "feature_cosine": 0.8}


def _inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_the_table_is_shown_on_demand(default_model_file: Path) -> None:
    assert "44 run configurations: see --quality" in _inspect(default_model_file).stdout
    done = _inspect(default_model_file, "--quality")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    rows = [line for line in lines if line.startswith("  ")][1:]
    assert len(rows) == 44
    assert rows[0].split()[:3] == ["256", "64", "256"]
    assert "±" in rows[0]
    assert max(map(len, rows)) <= 110
    assert any(line.startswith("Measured on 48 frames of a clip and 16 photos") for line in lines)
    assert any("of 176 values were smoothed" in line for line in lines)


def test_json_and_picture(default_model_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    facts = json.loads(
        _inspect(default_model_file, "--quality", "--json", "--plot", tmp_path / "quality.png").stdout
    )
    assert len(facts["rows"]) == 44
    assert facts["rows"][0]["fidelity"] > facts["rows"][-1]["fidelity"]
    assert facts["sample"]["photos"] == 16
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from veca_edge.calibration.quality.plot import draw_quality

    draw_quality(tmp_path / "name.svg", QualityTable.from_rows([ROW]), r"$\frac")
    assert "<svg" in (tmp_path / "name.svg").read_text()


def test_files_of_earlier_versions_read_well() -> None:
    lines = list(quality_lines(QualityTable.from_rows([ROW])))
    assert lines[1].split() == ["128", "8", "-", "0.849", "0.9000", "0.8000"]
    assert lines[-1] == "Fidelity: the geometric mean of embedding cosine and feature cosine."
    lines = list(quality_lines(QualityTable.from_rows([ROW | {"top1_agreement": 0.7, "top1_error": 0.02}])))
    assert lines[0].endswith("same top-1")
    assert lines[1].endswith("70.0 ± 2.0 %")
    assert lines[-1].endswith("feature cosine and top1 agreement.")


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("label_overlap", "label overlap"),
        ("dense_agreement", "dense agreement"),
        ("accuracy", "accuracy"),
        ("miou", "mIoU"),
    ],
)
def test_what_there_is_adds_a_column_and_smoothed_values_are_marked(name: str, heading: str) -> None:
    row = ROW | {name: 0.6, f"{name}_error": 0.043, "raw": {"feature_cosine": 0.79}}
    facts = {"sample": {"masked": 3, f"reference_{name}": 0.61}}
    table = QualityTable.from_dict({"rows": [row, ROW], **facts})
    lines = list(quality_lines(table))
    assert lines[0].split("features")[1].strip() == heading
    assert lines[1].endswith("60.0 ± 4.3 %")
    assert "~0.8000" in lines[1]
    assert lines[2].split()[-2:] == ["0.8000", "-"]
    assert "and 3 with masks of the model" in "\n".join(lines)
    told = f"{heading} of the checkpoint in fp32, all cores, largest size: 61.0 %"
    assert any(line.lower() == told.lower() for line in lines) == (name in ("accuracy", "miou"))


@pytest.mark.parametrize(
    "quality", [{"rows": 3}, {"rows": [1]}, {"rows": [ROW | {"cores": 0}]}, {"rows": [{}] * 2000}]
)
def test_a_damaged_table_is_one_line(default_model_file: Path, tmp_path: Path, quality: dict[str, object]) -> None:
    file = read_model_file(default_model_file)
    path = tmp_path / "new.pte"
    program = default_model_file.read_bytes()[: file.manifest.program_size]
    write_model_file(replace(file, path=path, manifest=replace(file.manifest, quality=quality)), program)
    with pytest.raises(VecaError, match=rf"^{re.escape(str(path))}: .*table"):
        read_quality(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--quality",), "--quality needs a model file: name one"),
        (("--plot", "a.png"), "--plot works with --quality only: leave it out"),
        ((default_checkpoint_path(), "--quality", "--ane"), "--quality and --ane: give one of them"),
        ((default_checkpoint_path(), "--quality"), "only model files have a quality table"),
        ((default_checkpoint_path(), "--quality", "--plot", "a.txt"), "use a name that ends in .png"),
    ],
)
def test_options_without_use_are_refused(arguments: tuple[object, ...], message: str) -> None:
    done = _inspect(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_file_without_a_table_says_what_to_do(golden_model_file: Path) -> None:
    done = _inspect(golden_model_file, "--quality")
    assert done.exit_code == 2
    assert "convert the checkpoint again, without --no-evaluate" in done.stderr
    assert "not evaluated" in _inspect(golden_model_file).stdout
