"""The HTML site: every page of the repository, and the API from its docstrings.

.venv/bin/python .ci/docs.py build/docs               # or with names of modules, to write the API of these only
"""

from __future__ import annotations

import pkgutil
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pdoc
from pdoc.render_helpers import to_html

import veca_edge

ROOT = Path(__file__).resolve().parent.parent
API = "api"
LINK = re.compile(r'((?:href|src)=")([^"#:]+)((?:#[^"]*)?")')
SHELL = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 54rem; margin: 2rem auto; padding: 0 1rem; }}
nav a {{ margin-right: 1rem; }} img {{ max-width: 100%; }} a {{ color: #1e5bb8; }}
pre {{ background: #f4f6fa; padding: .8rem; overflow-x: auto; border-radius: 6px; }}
code {{ font-size: .9em; }} table {{ border-collapse: collapse; }}
td, th {{ border-bottom: 1px solid #d5dbe6; padding: .3rem .7rem; text-align: left; vertical-align: top; }}
</style>
<nav>{navigation}</nav><main>{body}</main></html>
"""


def pages() -> list[Path]:
    """The tracked Markdown files, relative to the repository, README.md first."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(map(Path, listed.stdout.splitlines()), key=lambda path: (len(path.parts) > 1, path))


def modules() -> list[str]:
    """Every public module of the package, by its importable name."""
    walked = pkgutil.walk_packages(veca_edge.__path__, "veca_edge.")
    return ["veca_edge", *(found.name for found in walked if "._" not in found.name)]


def html_of(page: Path) -> Path:
    """Where a page lies in the site: README.md is the index of its folder."""
    return page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html")


def linked(target: str, page: Path) -> str:
    """The address in the site for a link of a page: to another page, to a module's API, or to a copied file."""
    found = ((ROOT / page).parent / target).resolve()
    if not found.is_relative_to(ROOT):
        return target
    inside, up = found.relative_to(ROOT), "../" * len(page.parent.parts)
    if (found / "README.md").is_file():
        inside = inside / "README.md"
    if inside.suffix == ".md":
        return f"{up}{html_of(inside).as_posix()}"
    name = ".".join(inside.with_suffix("").parts)
    for module in (name, f"veca_edge.{name}"):
        if module in MODULES:
            return f"{up}{API}/{module.replace('.', '/')}.html"
    return f"{up}{inside.as_posix()}"


def write_page(page: Path, site: Path) -> None:
    """Render one page, and copy the files of the repository that it shows or links to."""
    body = str(to_html((ROOT / page).read_text("utf-8")))
    for _, target, _ in LINK.findall(body):
        source = ((ROOT / page).parent / target).resolve()
        if source.is_file() and source.is_relative_to(ROOT) and source.suffix not in (".md", ".py"):
            copy = site / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    body = LINK.sub(lambda match: f"{match[1]}{linked(match[2], page)}{match[3]}", body)
    up = "../" * len(page.parent.parts)
    places = [(path.parent.as_posix(), html_of(path).as_posix()) for path in PAGES if path.name == "README.md"]
    names = {".": "veca-edge"}
    navigation = "".join(f'<a href="{up}{place}">{escape(names.get(name, name))}</a>' for name, place in places)
    navigation += f'<a href="{up}{API}/veca_edge.html">API</a>'
    target = site / html_of(page)
    target.parent.mkdir(parents=True, exist_ok=True)
    title = "veca-edge" if len(page.parts) == 1 else f"veca-edge: {page.parent.as_posix()}"
    target.write_text(SHELL.format(title=escape(title), navigation=navigation, body=body), "utf-8")


def build(site: Path, chosen: Sequence[str] = ()) -> None:
    """Write the site into a folder, which is made anew: all pages, and the API of the chosen modules or of all."""
    shutil.rmtree(site, ignore_errors=True)
    pdoc.render.configure(docformat="google")
    with warnings.catch_warnings():
        # Types that a module imports for type checking only stand in the signature as they are written.
        warnings.filterwarnings("ignore", "Error parsing type annotation")
        # A package by its name brings its modules, `veca_edge` only its public names.
        packages = [name for name in MODULES if name.count(".") < 2]
        pdoc.pdoc(*(chosen or packages), output_directory=site / API)
    for page in PAGES:
        write_page(page, site)


PAGES, MODULES = pages(), modules()

if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve(), sys.argv[2:])
    print(f"{len(PAGES)} pages and the API of {len(sys.argv[2:] or MODULES)} modules in {sys.argv[1]}/index.html")
