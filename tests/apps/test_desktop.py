"""The desktop example, as it stands, on the packaged clip."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import resources

import pytest

from tests.paths import ROOT

SCRIPT = ROOT / "apps" / "desktop" / "demo.py"


@pytest.mark.usefixtures("default_model_file")
def test_the_clip_is_labelled_frame_by_frame() -> None:
    with resources.as_file(resources.files("veca_edge.assets") / "clip.mp4") as clip:
        command = [sys.executable, str(SCRIPT), str(clip), "--headless"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if "patches" in line]
    computed = [int(match[1]) for line in lines if (match := re.fullmatch(r".+, (\d+) patches, [\d.]+ ms", line))]
    assert len(computed) == len(lines) > 100
    assert computed[0] == 256  # 256 px, patches of 16: the first frame is computed in full
    assert sum(computed) < 40 * len(computed)
