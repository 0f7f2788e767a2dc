"""`veca-edge run` with a model that has dense heads."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tests.fakes import names
from tests.paths import ASSETS, CLIP, GOLDEN
from veca_edge.cli.main import main
from veca_edge.image.stills import read_image
from veca_edge.model.checkpoint import read_checkpoint, write_checkpoint
from veca_edge.modelfile.heads import DenseHead, DenseTask, class_colours
from veca_edge.photos.masks import Classes, read_mask

LABELS = ("background", "left", "right")
PHOTO = ASSETS / "photos" / "banana.jpg"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint with two heads of arbitrary weights."""
    checkpoint = read_checkpoint(GOLDEN / "published-96.pt")
    tasks = (
        DenseTask("depth", "regression", 1, unit="m", range=(0.0, 5.0)),
        DenseTask("sides", "segmentation", 2, LABELS, class_colours(LABELS)),
    )
    rng = np.random.default_rng(0)
    width = checkpoint.config.feature_dim
    heads = tuple(
        DenseHead(
            task, rng.normal(size=(task.outputs, width)).astype(np.float32), np.ones(task.outputs, np.float32)
        )
        for task in tasks
    )
    path = tmp_path_factory.mktemp("heads") / "heads.pt"
    write_checkpoint(replace(checkpoint, dense=heads), path)
    return path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments), "--headless"])


def test_masks_of_a_head_are_saved_and_logged(tmp_path: Path, model: Path) -> None:
    log, folder = tmp_path / "o.jsonl", tmp_path / "set"
    done = run(model, "--source", PHOTO, "--log", log, "--head", "sides", "--save-masks", folder)
    assert done.exit_code == 0, done.output
    assert f"wrote {folder}" in done.output
    mask = read_mask(folder / "masks" / "banana.png", Classes(LABELS, class_colours(LABELS)))
    assert mask.shape == read_image(PHOTO).shape[:2]
    lines = (folder / "labels.txt").read_text().split()
    assert lines == [part for pair in zip(LABELS, ("#000000", "#319cfc", "#fd9320"), strict=True) for part in pair]
    told = json.loads(log.read_text())["dense"]
    seen = mask[mask != 255]
    for number, label in enumerate(LABELS):
        assert told["sides"]["areas"][label] == pytest.approx(float((seen == number).mean()), abs=0.1)
    assert told["depth"]["min"] <= told["depth"]["median"] <= told["depth"]["max"]
    assert told["depth"]["unit"] == "m"


def test_an_image_has_a_line_of_its_masks_and_of_a_label_only_if_that_is_sure(model: Path) -> None:
    line = run(model, "--source", PHOTO).output.splitlines()[0]
    assert re.fullmatch(r"banana.jpg: depth: \S+ to \S+ m; sides: \w+ \d+ %(, \w+ \d+ %)*", line)
    checkpoint = read_checkpoint(model)
    width = 2 * checkpoint.config.feature_dim
    head = {"weight": torch.zeros(2, width), "bias": torch.tensor([9.0, 0.0])}
    labelled = model.with_name("labelled.pt")
    write_checkpoint(replace(checkpoint, head=head, labels=("fruit", "tool")), labelled)
    assert run(labelled, "--source", PHOTO).output.splitlines()[0] == f"{line}; fruit 100 %"


def test_masks_are_what_is_drawn_of_a_model_that_has_them(tmp_path: Path, model: Path) -> None:
    def drawn(*more: str) -> np.ndarray:
        video = tmp_path / "o.avi"
        assert run(model, "--source", CLIP, "--frames", 1, "--cores", 8, "--save", video, *more).exit_code == 0
        return np.asarray(cv2.VideoCapture(str(video)).read()[1])[90:]  # below the time it took

    np.testing.assert_array_equal(drawn(), drawn("--view", "masks"))
    assert (drawn() != drawn("--view", "labels")).any()


def test_files_of_a_film_are_called_after_its_frames(tmp_path: Path, model: Path) -> None:
    video = tmp_path / "o.mp4"
    done = run(
        *(model, "--source", CLIP, "--frames", 2, "--cores", 8, "--view", "masks", "--save", video),
        *("--save-masks", tmp_path / "set"),
    )
    assert done.exit_code == 0, done.output
    assert names(tmp_path / "set") == ["scale.txt", "values"]  # of the first head
    assert names(tmp_path / "set" / "values") == ["000000.png", "000001.png"]
    frame = cv2.VideoCapture(str(video)).read()[1]
    assert frame is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--head", "x", "--save-masks", "set"), "this model has no head 'x': use depth or sides"),
        (("--save-masks", "no/set"), "there is no folder no"),
        (("--save-masks", "."), "has labels.txt already"),
    ],
)
def test_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.txt").touch()
    done = run(model, "--source", PHOTO, *arguments, "--log", "o.jsonl")
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert names(tmp_path) == ["labels.txt"]


@pytest.mark.parametrize("arguments", [("--view", "masks", "--save", "o.mp4"), ("--save-masks", "set")])
def test_a_model_without_heads_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(GOLDEN / "published-96.pt", "--source", PHOTO, *arguments)
    assert done.exit_code == 2
    assert f"{' '.join(arguments[:2] if arguments[0] == '--view' else arguments[:1])} needs a model" in done.stderr
    assert "veca-edge fit-head --task segmentation" in done.stderr
    assert names(tmp_path) == []
