"""ExecuTorch files that run on Core ML: packed as ExecuTorch's own backend packs them, unpacked without trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")
pytest.importorskip("executorch")

from executorch.exir._serialize._program import deserialize_pte_binary  # noqa: E402

from tests.converters.checkpoints import random_checkpoint  # noqa: E402
from veca_edge.converters.coreml.convert import PackageOptions  # noqa: E402
from veca_edge.converters.coreml.executorch import convert_payload  # noqa: E402
from veca_edge.converters.coreml.payload import BACKEND, REFERENCE, _unflatten, unpack_payload  # noqa: E402
from veca_edge.converters.coreml.verification import payload_subject, verify_package  # noqa: E402
from veca_edge.converters.verification import Reference  # noqa: E402
from veca_edge.errors import VecaError  # noqa: E402
from veca_edge.modelfile.mlprogram.package import open_package  # noqa: E402
from veca_edge.modelfile.pte import read_model_file  # noqa: E402
from veca_edge.photos.samples import sample_images  # noqa: E402
from veca_edge.runtime.engines.executorch import Program  # noqa: E402
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter  # noqa: E402


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with two methods, float32."""
    path = tmp_path_factory.mktemp("payload") / "m.pte"
    convert_payload(random_checkpoint(labels=("a", "b")), path, PackageOptions("fp32"))
    return path


def _program(path: Path) -> bytes:
    return path.read_bytes()[: read_model_file(path).manifest.program_size]


def test_the_file_is_verified_and_nothing_else_is_left(payload: Path) -> None:
    manifest = read_model_file(payload).manifest
    assert manifest.target == "executorch-coreml"
    assert manifest.methods == ("cores_8", "cores_16")
    assert manifest.verification["passed"] is True
    assert manifest.verification["tolerance"] == "largest relative error at most 1e-05"
    assert list(payload.parent.iterdir()) == [payload]


def test_methods_are_packed_as_executorch_packs_them(payload: Path, official: Any) -> None:
    """Structure for structure against a model that went through ExecuTorch's own Core ML backend."""
    ours = deserialize_pte_binary(_program(payload))
    for contents in (ours, official):
        (key,) = contents.named_data.pte_data
        assert key.startswith("coreml_executorch_")
        for plan in contents.program.execution_plan:
            (delegate,) = plan.delegates
            data = contents.program.backend_delegate_data[delegate.processed.index].data
            reference = json.loads(bytes(data).removeprefix(REFERENCE))
            assert (delegate.id, plan.operators) == (BACKEND, [])
            assert reference == {"version": 1, "key": key, "functionName": plan.name}
            assert len(plan.chains[0].instructions) == 1
    specs = [
        {spec.key: spec.value for spec in contents.program.execution_plan[0].delegates[0].compile_specs}
        for contents in (ours, official)
    ]
    assert specs[0] == specs[1] | {"model_compute_precision": b"float32"}


@pytest.fixture(scope="module")
def official() -> Any:
    """Two methods, lowered the general way."""
    from veca_edge.runtime.native import quiet

    with quiet():
        import coremltools as ct
        from executorch.backends.apple.coreml.compiler import CoreMLBackend
        from executorch.backends.apple.coreml.compiler.coreml_preprocess import MULTIMETHOD_WEIGHT_SHARING_STRATEGY
        from executorch.backends.apple.coreml.partition import CoreMLPartitioner
        from executorch.exir import to_edge_transform_and_lower

        specs = CoreMLBackend.generate_compile_specs(minimum_deployment_target=ct.target.iOS18)
        positional = MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
        specs.append(CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(positional))
        layer = torch.nn.Linear(16, 16).eval()
        methods = {f"rows_{n}": torch.export.export(layer, (torch.randn(n, 16),)) for n in (2, 4)}
        partitioner = {name: [CoreMLPartitioner(compile_specs=specs)] for name in methods}
        buffer = to_edge_transform_and_lower(methods, partitioner=partitioner).to_executorch().buffer
    return deserialize_pte_binary(bytes(buffer))


def test_the_official_packing_is_unpacked_too(official: Any, tmp_path: Path) -> None:
    (entry,) = official.named_data.pte_data.values()
    _unflatten(bytes(official.named_data.buffers[entry.buffer_index]), tmp_path)
    assert set(open_package(tmp_path / "model.mlpackage").functions) == {"rows_2", "rows_4"}
    names = json.loads((tmp_path / "metadata.json").read_text())["methods"]["rows_2"]
    assert set(names) == {"inputNames", "outputNames"}


def test_methods_take_pixels_and_give_results(payload: Path, tmp_path: Path) -> None:
    package = open_package(unpack_payload(_program(payload), tmp_path))
    image = np.ascontiguousarray(sample_images()[2][:64, :64])
    found = Interpreter(package, "cores_8").run({"image": image.astype(np.float32)})
    expected = Reference(random_checkpoint(labels=("a", "b")))(image, 8)
    assert [value.shape for value in found.values()] == [(1, 64), (16, 64), (1, 2)]
    np.testing.assert_allclose(found["features"], expected.features, atol=2e-5)
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["methods"]["cores_16"] == {
        "inputNames": ["image"],
        "outputNames": ["embedding", "features", "logits"],
    }


def test_verify_again(payload: Path, tmp_path: Path) -> None:
    subject = payload_subject(payload, tmp_path)
    assert verify_package(subject, random_checkpoint(labels=("a", "b")), sample_images()[:1]).passed
    assert not verify_package(
        subject, random_checkpoint(labels=("a", "b"), rope_zero_fraction=0.5), sample_images()[:1]
    ).passed


def test_elsewhere_it_does_not_run_and_says_so(payload: Path) -> None:
    with pytest.raises(VecaError, match="Core ML backend, which only Apple's systems have"):
        Program(read_model_file(payload), 1)


@pytest.mark.parametrize(
    "options",
    [{"classifier": True}, {"minimum_target": "iOS17"}, {"image_sizes": (64, 96)}, {"budgets": (12,)}],
    ids=str,
)
def test_impossible_options_leave_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(VecaError):
        convert_payload(random_checkpoint(labels=("a", "b")), tmp_path / "m.pte", PackageOptions(**options))
    assert list(tmp_path.iterdir()) == []


def _flattened(nodes: list[dict[str, Any]], data: bytes = b"0123456789") -> bytes:
    return data + json.dumps({"nodes": nodes}).encode()[::-1]


def _file(offset: int = 0, size: int = 4) -> dict[str, Any]:
    return {"kind": 0, "name": "f", "children": {}, "dataRegion": {"offset": offset, "size": size}}


def _folder(**children: int) -> dict[str, Any]:
    return {"kind": 1, "name": "d", "children": children, "dataRegion": {"offset": 0, "size": 0}}


def test_a_flattened_folder_is_written_back(tmp_path: Path) -> None:
    _unflatten(_flattened([_file(2, 3), _folder(b=0), _folder(a=0, d=1)]), tmp_path)
    assert {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == {
        "a": b"234",
        "d/b": b"234",
    }


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"nothing of the kind",
        _flattened([]),
        _flattened([_file(), {"kind": 1, "children": {"../x": 0}}]),
        _flattened([_file(), {"kind": 1, "children": {"/tmp/x": 0}}]),
        _flattened([_file(), {"kind": 1, "children": {"..": 0}}]),
        _flattened([_file(), {"kind": 1, "children": {"": 0}}]),
        _flattened([_file(), {"kind": 1, "children": {"a": 7}}]),
        _flattened([_file(), {"kind": 1, "children": {"a": -3}}]),
        _flattened([_file(), {"kind": 1, "children": {"a": "b"}}]),
        _flattened([_folder(a=0)]),
        _flattened([_file(0, 10**12), _folder(a=0)]),
        _flattened([_file(-1, 4), _folder(a=0)]),
        _flattened([_file(0, -4), _folder(a=0)]),
        _flattened([_file(0, 9), *[_folder(**{f"c{i}": n for i in range(50)}) for n in range(9)]]),
        b"]" * 100_000,
    ],
    ids=range(16),
)
def test_a_hostile_folder_is_refused_and_writes_nothing_outside(tmp_path: Path, blob: bytes) -> None:
    folder = tmp_path / "inside"
    with pytest.raises(VecaError, match="the package in the program"):
        _unflatten(blob, folder)
    assert not (tmp_path / "x").exists()
    assert sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()) <= len(blob)


def test_foreign_and_damaged_programs_are_refused(payload: Path, tmp_path: Path, default_model_file: Path) -> None:
    with pytest.raises(VecaError, match="not an ExecuTorch program"):
        unpack_payload(b"nothing of the kind", tmp_path)
    with pytest.raises(VecaError, match="is not one Core ML delegate"):
        unpack_payload(_program(default_model_file), tmp_path)
    with pytest.raises(VecaError):
        unpack_payload(
            _program(payload).replace(b'"functionName": "cores_16"', b'"functionName": "cores_XX"'), tmp_path
        )
    with pytest.raises(VecaError, match="holds no Core ML package"):
        payload_subject(default_model_file, tmp_path)
