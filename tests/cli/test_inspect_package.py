"""`veca-edge inspect` and `run` with a Core ML package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from veca_edge.cli.main import main


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from converters.coreml import PackageOptions, convert_package
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    path = tmp_path_factory.mktemp("inspect") / "tiny.mlpackage"
    convert_package(read_checkpoint(default_checkpoint_path()), path, PackageOptions(budgets=(8, 64), verify=False))
    return path


def _inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_for_people(package: Path) -> None:
    done = _inspect(package)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{package}  (Core ML package, 4.")
    assert lines[0].endswith("iOS 18, macOS 15 or newer)")
    assert lines[2].split() == ["function", "operations", "constants", "weights"]
    assert [line.split()[0] for line in lines[3:5]] == ["cores_8", "cores_64"]
    assert lines[4].endswith("(default)")
    assert "Operations of all functions" in lines
    assert "  48 linear" in lines
    assert "  logits: array fp32 1 x 53" in lines
    assert "  budgets         8, 64" in lines


def test_as_json(package: Path) -> None:
    facts = json.loads(_inspect(package, "--json").stdout)
    assert facts["kind"] == "Core ML package"
    assert facts["functions"]["cores_8"]["operations"]["layer_norm"] == 17
    assert facts["manifest"]["target"] == "coreml"


def test_errors_are_one_line_with_status_2(package: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.mlpackage"
    empty.mkdir()
    done = _inspect(empty)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"veca-edge: {empty}: Manifest.json is missing\n"


def test_run_says_that_it_is_slow(package: Path) -> None:
    import veca_edge

    photos = Path(veca_edge.__file__).parent / "assets" / "photos"
    arguments = [
        "run",
        str(package),
        "--source",
        str(photos),
        "--headless",
        "--frames",
        "2",
        "--cores",
        "8",
        "--json",
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["frames"] == 2
    assert done.stderr.startswith(f"veca-edge: {package}: there is no Core ML on this system")
    assert done.stderr.count("\n") == 1
