"""`veca-edge inspect` and `run` with a Core ML package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from veca_edge.cli.main import main


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    path = tmp_path_factory.mktemp("inspect") / "tiny.mlpackage"
    convert_package(read_checkpoint(default_checkpoint_path()), path, PackageOptions(budgets=(8, 64)))
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
    assert lines[4].split()[1] == "(default)"
    assert "Operations of all functions" in lines
    assert "  49 linear" in lines
    assert "  logits: array fp32 1 x 153" in lines
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
    assert [line.split(": ")[1] for line in done.stderr.splitlines()[1:]] == ["avocado.jpg", "banana.jpg"]


def test_neural_engine_for_people(package: Path) -> None:
    done = _inspect(package, "--ane")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{package}  (Core ML package, 4.")
    assert lines[2] == "Neural Engine, all functions"
    assert lines[3] == "  may leave it (reported): large kernel: patch_grid"
    assert sum(line.startswith("  may ") for line in lines) == 1
    assert any(line.startswith("  no report of a fallback: ") for line in lines)
    start = lines.index("float16 ranges on 4 images, the worst of 2 functions (float16 ends at 65504)")
    layers = [line[2:19].strip() for line in lines[start + 2 : start + 12]]
    assert layers == ["before the layers", *(f"layer {n}" for n in range(8)), "after the layers"]
    assert lines[start + 2].split()[3:7] == ["255", "0.39", "%", "pixels"]
    assert lines[-1] == "  all values fit"
    assert max(map(len, lines[1:])) <= 100
    assert done.stderr.startswith("  measuring ranges")


def test_neural_engine_as_json(package: Path, tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "grey.png"), np.full((64, 64, 3), 124, np.uint8))
    done = _inspect(package, "--ane", "--data", tmp_path, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    facts = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))
    assert facts["kind"] == "Core ML package"
    engine = facts["neural_engine"]
    (finding,) = engine["functions"]["cores_8"]["findings"]
    assert (finding["rule"], finding["operations"]) == ("large kernel", ["patch_grid"])
    assert engine["seen"]["layer_norm"].startswith("apple/coremltools #1909")
    assert "silu" in engine["functions"]["cores_64"]["no_report"]
    ranges = engine["ranges"]
    assert (ranges["images"], list(ranges["functions"])) == (1, ["cores_8", "cores_64"])
    first = ranges["functions"]["cores_8"][0]
    assert (first["variable"], first["largest"], first["state"]) == ("pixels", 124, "fits")
    assert first["share"] == pytest.approx(124 / 65504)


def test_values_that_float16_does_not_hold(tmp_path: Path) -> None:
    from veca_edge.converters.coreml.convert import PackageOptions, convert_package
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint

    source = read_checkpoint(default_checkpoint_path())
    source.state["blocks.6.fc2.weight"] *= 1e6
    path = tmp_path / "large.mlpackage"
    convert_package(source, path, PackageOptions(quantize="fp32", budgets=(8,)))
    done = _inspect(path, "--ane")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[-1] == "  near the end of float16 or beyond it: layer 6, layer 7"
    assert sum(line.endswith("OVERFLOWS") for line in lines) == 2
    assert any(line.startswith("  may leave it (documented): float32: ") for line in lines)


def test_another_tools_package(tmp_path: Path) -> None:
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813

    @mb.program(input_specs=[mb.TensorSpec((2, 8))], opset_version=ct.target.iOS18)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return mb.tanh(x=x, name="y")

    precision, linear = ct.precision.FLOAT32, tmp_path / "linear.mlpackage"
    ct.convert(program, minimum_deployment_target=ct.target.iOS18, compute_precision=precision).save(str(linear))
    done = _inspect(linear, "--ane")
    assert done.exit_code == 0, done.output
    assert "  may leave it (documented): float32: y" in done.stdout.splitlines()
    assert done.stdout.endswith("float16 ranges: not measured, the package was made by another tool\n")
    assert json.loads(_inspect(linear, "--ane", "--json").stdout)["neural_engine"]["ranges"] is None


def test_neural_engine_takes_packages_only(tmp_path: Path, package: Path) -> None:
    other = tmp_path / "model.pt"
    other.write_bytes(b"anything")
    for arguments, message in (
        ([other, "--ane"], f"{other} is not a Core ML package: --ane works with packages only"),
        (["--ane"], "--ane needs a Core ML package: name one"),
        ([package, "--data", tmp_path], "--data works with --ane only: leave it out"),
        (
            [tmp_path / "none.mlpackage", "--ane"],
            f"{tmp_path / 'none.mlpackage'}: no such file or folder: check the path",
        ),
        (
            [package, "--ane", "--data", tmp_path / "none"],
            f"{tmp_path / 'none'}: no such file or folder: check the path",
        ),
    ):
        done = _inspect(*arguments)
        assert (done.exit_code, done.stdout) == (2, ""), arguments
        assert done.stderr == f"veca-edge: {message}\n"


def test_a_verification_holds_the_largest_value_and_warns(package: Path) -> None:
    from veca_edge.cli.tables import verification_lines
    from veca_edge.converters.coreml.verification import verify_package
    from veca_edge.model.checkpoint import default_checkpoint_path, read_checkpoint
    from veca_edge.photos.samples import sample_images

    source = read_checkpoint(default_checkpoint_path())
    facts = verify_package(package, source, sample_images()[:1]).to_dict()
    assert [row["largest"] for row in facts["rows"]] == [255, 255]
    assert not any(line.startswith("warning") for line in verification_lines(facts))
    facts["rows"][1]["largest"] = 2e4
    assert list(verification_lines(facts))[-1] == (
        "warning: values up to 2e+04, and float16 ends at 65504: see where with `veca-edge inspect --ane`"
    )
