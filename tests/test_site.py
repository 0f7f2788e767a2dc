"""`make docs`: every page and every public module has its HTML, and links between them lead somewhere."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pdoc.extract
import pytest

import veca_edge
from tests.pages import page_paths
from tests.paths import ROOT

ADDRESS = re.compile(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"')


# Rendering all takes half a minute; a link to another module's page is held against the modules' names.
MODULES = ("veca_edge", "veca_edge.session", "veca_edge.converters.executorch.convert")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / ".ci" / "docs.py"), str(folder), *MODULES]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return folder


@pytest.fixture(scope="module")
def modules() -> set[str]:
    walked = pkgutil.walk_packages(veca_edge.__path__, "veca_edge.")
    return {"veca_edge", *(found.name for found in walked)}


@pytest.mark.parametrize("page", page_paths(), ids=str)
def test_a_page_is_there_and_its_links_lead_somewhere(site: Path, modules: set[str], page: Path) -> None:
    html = site / (page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html"))
    addresses = ADDRESS.findall(html.read_text("utf-8"))
    assert len(addresses) >= len(page_paths()) // 2  # the navigation
    for address in addresses:
        target = (html.parent / unquote(address)).resolve()
        if target.is_relative_to(site / "api"):
            assert ".".join(target.relative_to(site / "api").with_suffix("").parts) in modules
        else:
            assert target.exists(), address


def test_no_module_is_missing(modules: set[str]) -> None:
    """What the script tells pdoc to document stands for every module."""
    packages = ["veca_edge", *(found.name for found in pkgutil.iter_modules(veca_edge.__path__, "veca_edge."))]
    assert set(pdoc.extract.walk_specs(packages)) == modules


@pytest.mark.parametrize("module", MODULES)
def test_the_api_comes_from_the_docstrings(site: Path, module: str) -> None:
    text = (site / "api" / f"{module.replace('.', '/')}.html").read_text("utf-8")
    assert "VecaError" in text
