"""`veca-edge fit-head` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.photos.labelled_photos import tiny_checkpoint
from tests.training.training_sets import write_set
from veca_edge.cli.main import main
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import read_checkpoint, write_checkpoint
from veca_edge.runtime.model import load

LABELS = ("Äpfel 苹果", "hat", "milk")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos each of three colours, no val folder, one file that is no photo."""
    folder = write_set(tmp_path_factory.mktemp("photos"), {".": 30}, LABELS)
    (folder / "hat" / "notes.jpg").write_text("not a photo")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint without a head, small enough to convert in a moment."""
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    write_checkpoint(tiny_checkpoint(hidden_dim=64, num_heads=1, num_cores=16, ffn_dim=96), path)
    return path


def fit_head(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["fit-head", *map(str, arguments)])


def test_it_prints_how_good_the_head_is(photos: Path, model: Path, tmp_path: Path) -> None:
    output, plot = tmp_path / "mine.pt", tmp_path / "confusion.png"
    result = fit_head(model, "--data", photos, "--output", output, "--plot", plot)
    assert result.exit_code == 0, result.stderr
    assert "top-5" not in result.stdout  # of three labels
    assert "\n    8  100.0 %   " in result.stdout
    assert "\n   16  100.0 %   " in result.stdout
    assert "3 photos to evaluate on: below 100 the calibration error says little" in result.stdout
    assert "weakest labels at 16 cores: " in result.stdout
    assert "3 labels, 27 photos to learn from, 3 to evaluate on, 64 px" in result.stdout
    assert f"{output}: 0." in result.stdout
    assert f"skipped: cannot read {photos}/hat/notes.jpg: it is not" in result.stderr
    assert "no val folder: one photo in 10 of each label is held out" in result.stderr
    assert "\r" not in result.stderr  # no moving figures when nobody watches
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert set(tmp_path.iterdir()) == {output, plot}
    assert read_checkpoint(output).labels == tuple(sorted(LABELS))


def test_the_checkpoint_was_an_option_before(photos: Path, model: Path, tmp_path: Path) -> None:
    given = ("--data", photos, "--checkpoint", model, "-o", tmp_path / "m.pt", "--image-size", 32, "--budgets", "8")
    result = fit_head(*given)
    assert result.exit_code == 0, result.stderr
    assert "veca-edge: --checkpoint is now the argument CHECKPOINT\n" in result.stderr
    assert "veca-edge: --budgets is now --cores\n" in result.stderr
    assert f"next: veca-edge convert {tmp_path / 'm.pt'}\n" in result.stderr


def test_json_holds_every_budget(photos: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.pt"
    given = (model, "--data", photos, "-o", output, "--image-size", 32, "--cores", "8", "--json")
    result = fit_head(*given)
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["output"] == str(output)
    assert facts["bytes"] == output.stat().st_size
    assert (facts["photos"], facts["image_size"]) == ({"train": 27, "val": 3}, 32)
    (budget,) = facts["budgets"]
    assert (budget["cores"], budget["top1"], budget["previous_top1"]) == (8, 1.0, None)
    assert {"ece", "ece_before", "nll", "top5", "confidence", "worst", "confusions"} < set(budget)
    assert read_checkpoint(output).preprocessing["image_size"] == 32


def test_convert_takes_it_straight_away(photos: Path, model: Path, tmp_path: Path) -> None:
    output, converted = tmp_path / "mine.pt", tmp_path / "mine.pte"
    assert fit_head(model, "--data", photos, "--output", output).exit_code == 0
    given = ["convert", str(output), "--output", str(converted), "--no-evaluate", "--quantize", "int8"]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.stderr
    for label in LABELS:
        answer = load(converted)(read_image(next((photos / label).glob("*.png"))), cores=8).top(1)[0]
        assert answer.label == label
        assert answer.probability > 0.5


def test_interrupting_it_leaves_the_output_alone(
    photos: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "mine.pt"
    output.write_bytes(b"PK what was there before")
    monkeypatch.setattr("veca_edge.training.heads.features.Extractor.compute", interrupt)
    given = (model, "--data", photos, "--output", output, "--image-size", 48)
    result = fit_head(*given)
    assert result.exit_code == 130
    lines = result.stderr.splitlines()
    assert lines[-2:] == [
        "veca-edge: features computed so far are kept: the same command continues from there",
        "veca-edge: interrupted",
    ]
    assert output.read_bytes() == b"PK what was there before"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{photos}/hat", "--output", "{out}"], "no photo in a folder of a label"),
        (["--data", "{photos}/nowhere", "--output", "{out}"], "no such file or folder"),
        (["--data", "{photos}", "--output", "{photos}"], "it is a folder"),
        (["--data", "{photos}", "--output", "{photos}/nowhere/x.pt"], "there is no folder"),
        (["{model}", "--data", "{photos}", "--output", "{model}"], "is the checkpoint itself"),
        (["{photos}/x.pt", "--data", "{photos}", "--output", "{out}"], "x.pt"),
        (["--data", "{photos}", "--output", "{out}", "--plot", "x.txt"], "--plot x.txt: use a name that ends in"),
        (["--data", "{photos}", "--output", "{out}.png", "--plot", "{out}.png"], "both name"),
        (["--data", "{photos}", "--output", "{out}", "--image-size", "70"], "must be multiples of 16"),
        (["--data", "{photos}", "--output", "{out}", "--cores", "12"], "12 cores"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    photos: Path, model: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    names = {"photos": photos, "model": model, "out": tmp_path / "out.pt"}
    result = fit_head(*(argument.format(**names) for argument in arguments))
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if "skipped" not in line and "held out" not in line]
    assert len(lines) == 1, result.stderr
    assert message in lines[0]
    assert not (tmp_path / "out.pt").exists()


def test_a_picture_needs_matplotlib(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = fit_head("--data", photos, "--output", tmp_path / "x.pt", "--plot", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "this needs matplotlib, which is not installed: pip install 'veca-edge[plot]'" in result.stderr
