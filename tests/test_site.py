"""`make docs`: every page and every public module has its HTML, and links between them lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.pages import page_paths
from tests.paths import ROOT

ADDRESS = re.compile(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / ".ci" / "docs.py"), str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_and_its_links_lead_somewhere(site: Path) -> None:
    pages = page_paths()
    for page in pages:
        html = site / (page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html"))
        addresses = ADDRESS.findall(html.read_text("utf-8"))
        assert len(addresses) >= len(pages) // 2  # the navigation
        missing = [address for address in addresses if not (html.parent / unquote(address)).exists()]
        assert not missing, f"{page}: {missing}"


@pytest.mark.parametrize("module", ["veca_edge", "veca_edge/session", "veca_edge/converters/executorch/convert"])
def test_the_api_comes_from_the_docstrings(site: Path, module: str) -> None:
    text = (site / "api" / f"{module}.html").read_text("utf-8")
    assert "VecaError" in text
