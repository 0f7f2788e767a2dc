from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from veca_edge.cli.main import main
from veca_edge.photos.samples import sample_images


def match(*arguments):
    return CliRunner().invoke(main, ["match", *map(str, arguments)])


@pytest.fixture
def pictures(tmp_path):
    paths = tmp_path / "a.png", tmp_path / "b.png"
    photo = sample_images()[6]
    cv2.imwrite(str(paths[0]), photo[..., ::-1])
    cv2.imwrite(str(paths[1]), np.roll(photo, 16, axis=1)[..., ::-1])
    return paths


def test_draws_and_counts(pictures, tmp_path):
    done = match(*pictures, "--save", tmp_path / "m.png", "--most", 10)
    assert done.exit_code == 0, done.output
    assert "kept 10" in done.stdout
    assert cv2.imread(str(tmp_path / "m.png")).shape == (480, 972, 3)


def test_json(pictures):
    done = match(*pictures, "--json", "--cores", 8, "--image-size", 128)
    values = json.loads(done.stdout)
    assert values["kind"] == "matches"
    first = values["matches"][0]
    assert set(first) == {"first", "second", "similarity"}
    assert 0 <= first["first"][0] <= 144


def test_measure():
    done = match("--measure", "--image-size", 64, "--json")
    assert [row["what"] for row in json.loads(done.stdout)["rows"]] == ["pixels", "features"]
    lines = match("--measure", "--image-size", 64, "--cores", 8).stdout.splitlines()
    assert lines[2].startswith("pixels")
    assert lines[3].startswith("features      8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give two pictures"),
        (("a.png",), "give two pictures"),
        (("a.png", "b.png", "--measure"), "give two pictures"),
        (("a.png", "b.png"), "cannot read a.png"),
        (("a.png", "b.png", "--cores", "8,16"), "lists of cores"),
        (("a.png", "b.png", "--save", "m.gif"), "must end in .png"),
        (("--measure", "--save", "m.png"), "--save is for two pictures"),
        (("--measure", "--cores", "7"), "7 cores"),
        (("--measure", "--image-size", "100"), "not a multiple"),
        (("--measure", "--images", "nowhere"), "no such folder"),
    ],
)
def test_bad_usage_is_one_line(arguments, said):
    done = match(*arguments)
    assert done.exit_code == 2
    # The engine's own remarks go to the descriptor, which is muted; here they land in the runner's buffer.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("[threadpool")]
    assert len(lines) == 1
    assert said in lines[0]
