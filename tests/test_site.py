"""`make docs`: no page and no module is missing, and every link in the site leads somewhere."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import pdoc.extract
import pytest

import veca_edge
from tests.pages import page_paths
from tests.paths import ROOT
from tests.site import API, api_modules, site_path, write_api, write_pages

SOME = ("veca_edge", "veca_edge.session", "veca_edge.governor.policy", "veca_edge.converters.recipes")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages, and the API of a few modules."""
    folder = tmp_path_factory.mktemp("site")
    write_pages(folder)
    write_api(folder, SOME)
    return folder


@pytest.mark.parametrize("page", page_paths(), ids=str)
def test_a_page_and_what_it_links_to_are_there(site: Path, page: Path) -> None:
    place = site / site_path(page)
    text = place.read_text("utf-8")
    assert text.count("<h1") == 1
    links = re.findall(r'(?:href|src)="([^"#:]+)(?:#([^"]*))?"', text)
    assert len(links) > len(page_paths())  # the menu
    for name, anchor in links:
        target = place.parent / name
        assert target.is_file(), name
        assert not anchor or f'id="{anchor}"' in target.read_text("utf-8"), f"{name}#{anchor}"


def test_docstrings_become_pages(site: Path) -> None:
    assert {f"{name.replace('.', '/')}.html" for name in SOME} <= {
        str(path.relative_to(site / API.parent)) for path in (site / API.parent).rglob("*.html")
    }
    shown = (site / API.parent / "veca_edge" / "session.html").read_text("utf-8")
    assert "target_fps" in shown
    assert "frames per second that the camera delivers" in shown


def test_no_module_is_missing() -> None:
    """Names only: importing and rendering them all takes half a minute."""
    documented = set(pdoc.extract.walk_specs(api_modules()))
    assert documented == {"veca_edge", *(m.name for m in pkgutil.walk_packages(veca_edge.__path__, "veca_edge."))}


def test_make_docs_calls_it() -> None:
    assert "python -m tests.site build/docs" in (ROOT / "Makefile").read_text()
