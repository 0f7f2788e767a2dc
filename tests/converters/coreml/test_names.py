"""Names in a package: short ones in the program, full ones in a table for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from click.testing import CliRunner
from coremltools import proto

from tests.converters.checkpoints import random_checkpoint
from tests.modelfile.mlprogram.saved_packages import make_older
from veca_edge.cli.main import main
from veca_edge.converters.coreml.convert import PackageOptions, convert_package
from veca_edge.converters.coreml.names import shorten_names
from veca_edge.converters.coreml.package import SPEC
from veca_edge.errors import VecaError
from veca_edge.modelfile.mlpackage import NAMES_KEY, full_names
from veca_edge.modelfile.mlprogram.package import open_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "m.mlpackage"
    convert_package(random_checkpoint(), path, PackageOptions())
    return path


def _model(package: Path) -> Any:
    return proto.Model_pb2.Model.FromString((package / SPEC).read_bytes())


def _operations(model: Any) -> list[Any]:
    functions = model.mlProgram.functions.values()
    return [o for f in functions for block in f.block_specializations.values() for o in block.operations]


def test_operations_have_no_names_and_values_short_ones(package: Path) -> None:
    operations = _operations(_model(package))
    assert len(operations) > 200
    assert not any("name" in operation.attributes for operation in operations)
    names = {output.name for operation in operations for output in operation.outputs}
    assert {name for name in names if len(name) > 2} == {"embedding", "features"}


def test_every_value_has_a_full_name_the_same_in_all_functions(package: Path) -> None:
    opened = open_package(package)
    names = full_names(opened)
    assert len(set(names.values())) == len(names)
    for function in opened.functions.values():
        made = [names.get(v.name, v.name) for operation in function.operations for v in operation.outputs]
        assert len(set(made)) == len(made)
        assert {"tokens", "l0_qkv_y", "l1_down", "final", "embedding"} <= set(made)
        rotated = next(o for o in function.operations if names.get(o.outputs[0].name) == "l1_swapped")
        assert rotated.kind == "concat"


def test_inputs_and_outputs_keep_their_names_however_short() -> None:
    model = proto.Model_pb2.Model()
    function = model.mlProgram.functions["main"]
    function.inputs.add().name = "a"
    block = function.block_specializations["CoreML8"]
    for kind, read, made in (("tanh", "a", "first"), ("silu", "first", "second"), ("add", "second", "b")):
        operation = block.operations.add(type=kind)
        operation.inputs["x"].arguments.add().name = read
        operation.outputs.add().name = made
        operation.attributes["name"].immediateValue.tensor.strings.values.append("op")
    block.outputs.append("b")
    assert shorten_names(model) == {"c": "first", "d": "second"}
    wired = [(o.inputs["x"].arguments[0].name, o.outputs[0].name) for o in block.operations]
    assert wired == [("a", "c"), ("c", "d"), ("d", "b")]
    assert not any(operation.attributes for operation in block.operations)


@pytest.mark.parametrize("table", ["", "[1]", "{", '{"a": 5}', '{"a": "l0\\u001b[2J"}', '{"a": ""}', "[" * 100_000])
def test_a_damaged_table_is_one_clear_line(package: Path, table: str) -> None:
    model, place = _model(package), package / SPEC
    before = place.read_bytes()
    model.description.metadata.userDefined[NAMES_KEY] = table
    place.write_bytes(model.SerializeToString())
    try:
        with pytest.raises(VecaError, match=r"m\.mlpackage: its table of names is damaged"):
            full_names(open_package(package))
        done = CliRunner().invoke(main, ["inspect", str(package), "--ane", "--json"])
    finally:
        place.write_bytes(before)
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1


def test_packages_without_a_table_are_shown_as_they_are(package: Path) -> None:
    model, place = _model(package), package / SPEC
    before = place.read_bytes()
    del model.description.metadata.userDefined[NAMES_KEY]
    make_older(model)
    place.write_bytes(model.SerializeToString())
    try:
        assert full_names(open_package(package)) == {}
        done = CliRunner().invoke(main, ["inspect", str(package), "--ane", "--json"])
    finally:
        place.write_bytes(before)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)["neural_engine"]["ranges"]["functions"]["cores_8"]
    assert [layer["layer"] for layer in facts] == ["all operations"]
