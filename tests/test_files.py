from __future__ import annotations

from pathlib import Path

import pytest

from veca_edge.files import replacing


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")

    def interrupted() -> None:
        with replacing(path) as part:
            part.write_text("half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "new"
