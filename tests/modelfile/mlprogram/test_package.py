"""Packages from anywhere: what is read of them, and that damage is one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.modelfile.mlprogram.saved_packages import SPECIFICATION, WEIGHTS, edit
from veca_edge.errors import VecaError
from veca_edge.files import is_package
from veca_edge.modelfile.mlprogram.package import Feature, open_package
from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

X = np.ones((2, 8), np.float32)


def test_what_a_package_says(linear_package: Path) -> None:
    package = open_package(linear_package)
    assert (package.version, package.target) == (9, "iOS 18, macOS 15")
    assert (package.default_function, list(package.functions)) == ("main", ["main"])
    assert package.inputs == {"main": (Feature("x", "array", (2, 8), "fp32", ""),)}
    assert package.outputs == {"main": (Feature("y", "array", (2, 16), "fp32", ""),)}
    assert package.metadata == {"author": "someone"}
    assert package.user_metadata["com.github.apple.coremltools.version"]
    function = package.function()
    assert (function.opset, function.operation_counts["linear"]) == ("CoreML8", 1)
    assert (package.weight_bytes, package.shared_bytes) == (4 * 16 * 9, 0)
    assert package.bytes_by_element == {"fp32": 4 * 16 * 9}
    assert package.size == sum((linear_package / part).stat().st_size for part in (SPECIFICATION, WEIGHTS))


def test_bytes_that_functions_share(linear_package: Path, copied: Path) -> None:
    def twice(model: Any) -> None:
        functions = model.mlProgram.functions
        functions["second"].CopyFrom(functions["main"])
        for name in ("main", "second"):
            model.description.functions.add(
                name=name, input=model.description.input, output=model.description.output
            )
        model.description.defaultFunctionName = "second"

    edit(copied, twice)
    package = open_package(copied)
    assert (package.default_function, sorted(package.functions)) == ("second", ["main", "second"])
    assert package.weight_bytes == package.shared_bytes == 4 * 16 * 9
    first, second = (Interpreter(package, name).run({"x": X})["y"] for name in ("main", "second"))
    np.testing.assert_array_equal(first, second)


def test_told_apart_by_being_folders(linear_package: Path, tmp_path: Path) -> None:
    (tmp_path / "file.mlpackage").write_text("no")
    (tmp_path / "folder").mkdir()
    assert is_package(linear_package)
    assert not any(map(is_package, (tmp_path / "file.mlpackage", tmp_path / "folder", tmp_path / "nothing")))


def test_reading_needs_the_messages_of_coremltools_alone(linear_package: Path) -> None:
    """coremltools itself takes seconds to import; the classes stay usable when it is imported later."""
    code = (
        "import sys\n"
        "from veca_edge.modelfile.mlprogram.package import open_package\n"
        "open_package(sys.argv[1])\n"
        "assert 'coremltools' not in sys.modules and 'torch' not in sys.modules\n"
        "import coremltools as ct\n"
        "ct.models.MLModel(sys.argv[1], skip_model_load=True).save(sys.argv[2])\n"
        "print(open_package(sys.argv[2]).metadata)\n"
    )
    target = linear_package.with_name("again.mlpackage")
    command = [sys.executable, "-c", code, str(linear_package), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "{'author': 'someone'}\n", done.stderr
    shutil.rmtree(target)


def test_without_coremltools_it_says_what_to_install(linear_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "coremltools" else real(name, *rest)
    )
    with pytest.raises(VecaError, match=r"this needs coremltools, .*pip install 'veca-edge\[coreml\]'"):
        open_package(linear_package)


def _cut(part: Path, keep: float) -> Callable[[Path], object]:
    def damage(package: Path) -> None:
        data = (package / part).read_bytes()
        (package / part).write_bytes(data[: int(len(data) * keep)])

    return damage


def _write(part: Path | str, data: bytes) -> Callable[[Path], object]:
    return lambda package: (package / part).write_bytes(data)


def _remove(part: Path | str) -> Callable[[Path], object]:
    return lambda package: (package / part).unlink()


def _manifest(path: Any) -> Callable[[Path], object]:
    return _write(
        "Manifest.json", json.dumps({"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": path}}}).encode()
    )


def _weight_name(name: str) -> Callable[[Path], object]:
    def rename(model: Any) -> None:
        for operation in model.mlProgram.functions["main"].block_specializations["CoreML8"].operations:
            if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "blobFileValue":
                operation.attributes["val"].blobFileValue.fileName = name

    return lambda package: edit(package, rename)


def _linked(part: Path) -> Callable[[Path], object]:
    """The part becomes a link to the same thing outside of the package."""

    def damage(package: Path) -> None:
        (package / part).rename(package.with_name("outside"))
        (package / part).symlink_to(package.with_name("outside"))

    return damage


def _loop(package: Path) -> None:
    (package / SPECIFICATION).unlink()
    (package / SPECIFICATION).symlink_to(package / SPECIFICATION)


def _pipe(part: Path) -> Callable[[Path], object]:
    def damage(package: Path) -> None:
        (package / part).unlink()
        os.mkfifo(package / part)

    return damage


def _unknown_weights(model: Any) -> None:
    for operation in model.mlProgram.functions["main"].block_specializations["CoreML8"].operations:
        if operation.type == "const" and operation.attributes["val"].WhichOneof("value") == "blobFileValue":
            operation.attributes["val"].type.tensorType.dataType = 13


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (_remove("Manifest.json"), "Manifest.json is missing"),
    "manifest of nothing": (_write("Manifest.json", b""), "Manifest.json is damaged"),
    "manifest of bytes": (_write("Manifest.json", bytes(range(256))), "Manifest.json is damaged"),
    "manifest of a list": (_write("Manifest.json", b"[]"), "Manifest.json is damaged"),
    "deep manifest": (_write("Manifest.json", b"[" * 100_000), "Manifest.json is damaged"),
    "huge manifest": (_write("Manifest.json", b" " * 2**21), "larger than 1 MB"),
    "manifest upwards": (_manifest("../../secret"), "an invalid path"),
    "manifest to the root": (_manifest("/etc/passwd"), "an invalid path"),
    "manifest to a number": (_manifest(7), "an invalid path"),
    "manifest to nothing": (_manifest(""), "an invalid path"),
    "manifest to null": (_manifest("a\0b"), "an invalid path"),
    "manifest to a folder": (_manifest("com.apple.CoreML"), "is missing"),
    "manifest to a drive": (_manifest("c:model"), "an invalid path"),
    "no specification": (_remove(SPECIFICATION), "the model specification is missing"),
    "empty specification": (_write(SPECIFICATION, b""), "not an ML program"),
    "half a specification": (_cut(SPECIFICATION, 0.5), "damaged"),
    "random specification": (_write(SPECIFICATION, np.random.default_rng(0).bytes(3000)), "damaged|not an ML"),
    "linked specification": (_linked(SPECIFICATION), "outside of the package"),
    "specification in a loop": (_loop, "missing|cannot be reached|cannot read"),
    "specification as a pipe": (_pipe(SPECIFICATION), "missing"),
    "other kind of model": (lambda p: edit(p, lambda m: m.neuralNetwork.SetInParent()), "an older kind"),
    "no functions": (lambda p: edit(p, lambda m: m.mlProgram.functions.clear()), "without functions"),
    "newer program": (lambda p: edit(p, lambda m: setattr(m.mlProgram, "version", 2)), "version 2, expected 1"),
    "weights in bfloat16": (lambda p: edit(p, _unknown_weights), "data type 13 is not supported"),
    "unknown default": (
        lambda p: edit(p, lambda m: setattr(m.description, "defaultFunctionName", "x")),
        "default function",
    ),
    "no weights": (_remove(WEIGHTS), "weight.bin is missing"),
    "empty weights": (_write(WEIGHTS, b""), "weight.bin is cut off"),
    "half the weights": (_cut(WEIGHTS, 0.5), "weight.bin is damaged"),
    "random weights": (
        _write(WEIGHTS, np.random.default_rng(0).bytes(3000)),
        "weight.bin is damaged or of version",
    ),
    "linked weights": (_linked(WEIGHTS.parent), "outside of the package"),
    "weights as a pipe": (_pipe(WEIGHTS), "weight.bin is missing"),
    "weights upwards": (_weight_name("@model_path/../../../../secret"), "an invalid path"),
    "weights at the root": (_weight_name("/etc/passwd"), "an invalid path"),
    "weights with a terminal's bell": (_weight_name("@model_path/\x1b]0;\x07"), "an invalid path"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line(copied: Path, name: str) -> None:
    damage, message = DAMAGE[name]
    damage(copied)
    with pytest.raises(VecaError, match=message) as caught:
        Interpreter(open_package(copied)).run({"x": X})
    text = str(caught.value)
    assert str(copied) in text
    assert text.isprintable()


def test_every_cut_and_many_flips_are_survived(copied: Path) -> None:
    """Whatever happens to the specification, the answer is a result or one line."""
    data, random = (copied / SPECIFICATION).read_bytes(), np.random.default_rng(0)
    answers = []
    for number in range(300):
        broken = bytearray(data)
        if number % 3:
            broken[random.integers(len(data))] ^= 1 << int(random.integers(8))
        else:
            broken = broken[: random.integers(len(data))]
        (copied / SPECIFICATION).write_bytes(broken)
        try:
            Interpreter(open_package(copied)).run({"x": X})
        except VecaError as error:
            answers.append(str(error))
    assert len(answers) > 200
    assert all(answer.isprintable() for answer in answers)


def test_missing_packages_and_files(tmp_path: Path) -> None:
    with pytest.raises(VecaError, match="no such file"):
        open_package(tmp_path / "nothing.mlpackage")
    (tmp_path / "file.mlpackage").write_text("no")
    with pytest.raises(VecaError, match="a file, expected the folder"):
        open_package(tmp_path / "file.mlpackage")
    (tmp_path / "empty.mlpackage").mkdir()
    with pytest.raises(VecaError, match=r"Manifest.json is missing"):
        open_package(tmp_path / "empty.mlpackage")
