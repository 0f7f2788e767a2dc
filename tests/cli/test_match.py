from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.known import known
from veca_edge.cli.main import main
from veca_edge.photos.samples import sample_images


def match(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["match", *map(str, arguments)])


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Any, ...]:
    paths = tmp_path / "a.png", tmp_path / "b.png"
    photo = sample_images()[6]
    cv2.imwrite(str(paths[0]), photo[..., ::-1])
    cv2.imwrite(str(paths[1]), np.roll(photo, 16, axis=1)[..., ::-1])
    return paths


def test_draws_and_counts(pictures: tuple[Any, ...], tmp_path: Path) -> None:
    done = match(*pictures, "--save", tmp_path / "m.png", "--most", 10)
    assert done.exit_code == 0, done.output
    assert "kept 10" in done.stdout
    assert known(cv2.imread(str(tmp_path / "m.png"))).shape == (480, 972, 3)


def test_json(pictures: tuple[Any, ...]) -> None:
    done = match(*pictures, "--json", "--cores", 8, "--image-size", 128)
    values = json.loads(done.stdout)
    assert values["kind"] == "matches"
    first = values["matches"][0]
    assert set(first) == {"first", "second", "similarity"}
    assert 0 <= first["first"][0] <= 144


def test_a_model_can_be_named_first(pictures: tuple[Any, ...], default_model_file: Path) -> None:
    ours = match(*pictures, "--json").stdout
    assert match(default_model_file, *pictures, "--json").stdout == ours
    assert match(*pictures, "--model", default_model_file, "--json").stdout == ours
    one = match(pictures[0])
    assert one.exit_code == 2
    assert "name two pictures, with or without a model before them; got 1" in one.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.png", "b.png"), "a.png: no such file or folder"),
        (("{a}", "{b}", "--cores", "7"), "7 cores"),
        (("{a}", "{b}", "--image-size", "100"), "not a multiple"),
        (("{a}", "{b}", "--save", "m.gif"), "use a name that ends in .png"),
        (("{a}", "{b}", "--save", "{b}"), "would overwrite an input"),
    ],
)
def test_bad_usage_is_one_line(pictures: Any, arguments: tuple[Any, ...], said: str) -> None:
    done = match(*(argument.format(a=pictures[0], b=pictures[1]) for argument in arguments))
    assert done.exit_code == 2
    # The engine's own remarks go to the descriptor, which is muted; here they land in the runner's buffer.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[threadpool")]
    assert len(lines) == 1
    assert said in lines[0]
