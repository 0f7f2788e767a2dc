"""The Dockerfile and the versions it installs, read; `docker build` needs a network and is left to people."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from tests.paths import ROOT
from veca_edge.cli.main import main
from veca_edge.cli.run import command as run

DESKTOP = ROOT / "apps" / "desktop"
PINS = DESKTOP / "pi.txt"


def instructions(name: str) -> list[str]:
    """What stands behind each of these instructions."""
    text = (DESKTOP / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} +(.+)$", text, re.MULTILINE)


def pins() -> dict[str, str]:
    """Versions by name."""
    lines = [line for line in PINS.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_what_the_container_copies_is_there() -> None:
    sources = [Path(word) for line in instructions("COPY") for word in line.split()[:-1]]
    assert len(sources) > 4
    assert [path for path in sources if not (ROOT / path).exists()] == []
    copied = {path.name for path in sources}
    links = (path for path in (ROOT / "veca_edge").iterdir() if path.is_symlink())
    assert all(path.resolve().name in copied for path in links)
    constraints = re.findall(r"--constraint (\S+)", "\n".join(instructions("RUN")))
    assert set(constraints) == {str(PINS.relative_to(ROOT))}


def test_the_container_serves_a_browser_with_a_token() -> None:
    (entry,), (words,) = (map(json.loads, instructions(name)) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["veca-edge"]
    assert main.get_command(click.Context(main), words[0]) is run
    given = run.make_context("run", words[1:]).params
    assert not given["serve"].is_loopback  # so that there is a token
    assert str(given["serve"].port) in instructions("EXPOSE")
    assert (ROOT / given["source"]).is_file()


@pytest.mark.parametrize("name", ["torch", "executorch"])
def test_the_pinned_versions_are_allowed(name: str) -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {r.name: r for r in map(Requirement, project["optional-dependencies"]["run"])}
    assert wanted[name].specifier.contains(pins()[name])
    assert "+cpu" in pins()["torch"]
