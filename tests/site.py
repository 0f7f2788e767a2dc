"""The HTML site of all pages, with the API from the docstrings: `python -m tests.site build/docs`, or `make docs`.

A page becomes index.html (or NAME.html) in the folder of its own path, so its links to pictures and files stay as
they are; what they lead to is copied. The API is written by pdoc into the folder api.
"""

from __future__ import annotations

import html
import os
import pkgutil
import re
import shutil
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import markdown2
import pdoc
import pdoc.render

import veca_edge
from tests.pages import anchor, page_paths
from tests.paths import ROOT

API = Path("api", "veca_edge.html")
EXTRAS = ("code-friendly", "cuddled-lists", "fenced-code-blocks", "header-ids", "tables")
STYLE = """
body { display: flex; gap: 3em; max-width: 76em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui; }
nav { flex: 0 0 13em; } nav a { display: block; } main { min-width: 0; }
pre { overflow-x: auto; padding: .8em; } pre, code { background: #8882; font-size: 14px; } img { max-width: 100%; }
table { border-collapse: collapse; display: block; overflow-x: auto; } td, th { border: 1px solid #8886; padding: .2em .6em; }
@media (max-width: 50em) { body { display: block; } }
"""  # noqa: E501 - style sheets have long lines
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style><nav>{menu}</nav><main>{text}</main></html>
"""


class Markdown(markdown2.Markdown):  # type: ignore[misc]
    """Headings have the names that GitHub gives them."""

    def header_id_from_text(self, text: str, prefix: str | None, n: int | None) -> str:
        return anchor(html.unescape(re.sub(r"<[^>]+>", "", text)))


def site_path(page: Path) -> Path:
    """Where a page stands in the site."""
    return page.with_name("index.html" if page.name == "README.md" else f"{page.stem}.html")


def write_pages(folder: Path) -> None:
    """Write every page of the repository, and copy what the pages show or link to."""
    titles = {page: _title(page) for page in page_paths()}
    for page in titles:
        text = Markdown(extras=EXTRAS).convert((ROOT / page).read_text("utf-8"))
        text = re.sub(
            r'(href|src)="([^"#:]+)(#[^"]*)?"',
            lambda match: f'{match[1]}="{_linked(page, match[2], folder)}{match[3] or ""}"',  # noqa: B023
            text,
        )
        target = folder / site_path(page)
        target.parent.mkdir(parents=True, exist_ok=True)
        title = html.escape(titles[page])
        written = PAGE.format(title=title, style=STYLE, menu=_menu(page, titles), text=text)
        target.write_text(written, "utf-8")


def write_api(folder: Path, modules: Iterable[str] = ()) -> None:
    """Write the documentation of these modules, or of all, into the folder's api."""
    warnings.filterwarnings("ignore", "Error parsing type annotation")  # of imports for type checkers only
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*(modules or api_modules()), output_directory=folder / API.parent)


def api_modules() -> list[str]:
    """What pdoc is told to document: the package by its public names, the packages within it with their modules."""
    return ["veca_edge", *(found.name for found in pkgutil.iter_modules(veca_edge.__path__, "veca_edge."))]


def _title(page: Path) -> str:
    return (ROOT / page).read_text("utf-8").splitlines()[0].lstrip("# ")


def _menu(page: Path, titles: Mapping[Path, str]) -> str:
    places = {title: site_path(other) for other, title in titles.items()} | {"API": API}
    links = {title: os.path.relpath(place, page.parent) for title, place in places.items()}
    return "".join(f'<a href="{link}">{html.escape(title)}</a>' for title, link in links.items())


def _linked(page: Path, name: str, folder: Path) -> str:
    """The link in the site for a link of a page; a file that it leads to is copied."""
    source = (ROOT / page.parent / name).resolve()
    if source.suffix == ".md" or source.is_dir():
        return os.path.relpath(site_path(Path(name) / "README.md" if source.is_dir() else Path(name)))
    if source.is_file():
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return name


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
    write_api(Path(sys.argv[1]))
    print(f"{sys.argv[1]}/index.html")
