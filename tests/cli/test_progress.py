"""Progress on standard error: a line per stage, and signs of life where nobody watches a terminal."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from veca_edge.cli.progress import Stages, command_line, next_step


def test_a_stage_is_one_line_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    stages = Stages()
    for done in (0.0, 0.5, 1.0):
        stages("folding", done)
    stages("writing", 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"  folding +\d+\.\d s\n  writing +\d+\.\d s\n", err)


def test_a_silent_stage_shows_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    stages, lines = Stages(interval=0.02), ""
    stages("training", 0.4)
    for _ in range(250):
        time.sleep(0.02)
        lines += capsys.readouterr().err
        if lines.count("\n") >= 2:
            break
    stages("training", 1.0)
    assert re.fullmatch(r"(  training +40 % after \d+ s\n){2,}", lines)
    time.sleep(0.1)
    assert re.fullmatch(r"  training +\d+\.\d s\n", capsys.readouterr().err)  # and no reminder after the end


def test_the_next_step_is_beside_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    next_step(command_line("run", Path("my model.pte"), None, "--cores", 8))
    assert capsys.readouterr() == ("", "next: veca-edge run 'my model.pte' --cores 8\n")
