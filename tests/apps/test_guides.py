"""The guides: links lead somewhere, commands and code work as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.paths import ROOT
from veca_edge.cli.main import main
from veca_edge.model.config import VecaConfig
from veca_edge.model.flops import model_gflops

PAGES = (*sorted((ROOT / "apps").glob("**/README.md")), ROOT / "tests" / "golden" / "README.md")
GUIDE = (ROOT / "apps" / "README.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for page in PAGES
    for line in re.findall(r"^ +(veca-edge .*)$|`(veca-edge [^`]*)`", page.read_text(), re.MULTILINE)
    for line in line
    if len(line.split()) > 2  # not just a command's name
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_options_exist(arguments: list[str]) -> None:
    context = main.make_context("veca-edge", list(arguments))
    name, command, rest = main.resolve_command(context, list(arguments))
    assert command is not None
    command.make_context(name, rest, parent=context)


def test_the_guides_figures_are_the_counted_ones() -> None:
    sizes = {
        "packaged": VecaConfig("custom", 192, 3, 8, 512),
        "`small`": VecaConfig("small", 384, 6, 12, 1024),
        "`base`": VecaConfig("base", 768, 12, 12, 2048),
    }
    for name, config in sizes.items():
        row = next(line for line in GUIDE.splitlines() if line.startswith(f"| {name}"))
        found = [float(cell) for cell in row.split("|")[2:5]]
        counted = [model_gflops(config, size, cores) for size, cores in ((256, 8), (256, 64), (512, 64))]
        assert found == pytest.approx(counted, rel=0.03)


@pytest.mark.slow
def test_ten_lines_of_python_work(
    default_model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(default_model_file, "veca.pte")
    shutil.copy(ROOT / "veca_edge" / "assets" / "clip.mp4", tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) > 100
