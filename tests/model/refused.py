"""What every refusal of a checkpoint has in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import read_checkpoint


def check_refused(path: Path, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A checkpoint is refused in one short, printable line that names it, and nothing else is printed."""
    with pytest.raises(VecaError, match=message) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) < len(str(path)) + 200
    assert capfd.readouterr() == ("", "")
