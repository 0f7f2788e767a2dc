"""ExecuTorch under the names and with the shapes that its versions have."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.paths import GOLDEN
from veca_edge.errors import VecaError, VecaWarning
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.engines import binding
from veca_edge.runtime.engines.executorch import ExecutorchEngine
from veca_edge.runtime.engines.weight_cache import KNOWN_VERSIONS

FILE = GOLDEN / "made-by-0.2.0.pte"
GREY = np.full((64, 96, 3), 127, np.uint8)


class TorchFreeModule:
    """A loaded program as ExecuTorch 1.6 has it: arrays go in, what comes out has a buffer and no `numpy()`."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.method_names, self.method_meta = module.method_names, module.method_meta

    def run_method(self, name: str, inputs: Iterable[Any], clone_outputs: bool = True) -> list[memoryview]:
        given = list(inputs)
        assert {type(array) for array in given} == {np.ndarray}
        outputs = self._module.run_method(name, [torch.from_numpy(array) for array in given], clone_outputs)
        return [memoryview(output.numpy()) for output in outputs]


class TorchFreeBinding:
    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name.startswith("_load"):
            return lambda *args, **options: TorchFreeModule(found(*args, **options))
        return found


def _encode() -> list[NDArray[np.float32] | None]:
    engine = ExecutorchEngine(read_model_file(FILE), threads=1)
    encoded = engine.encode(GREY, 8)
    engine.close()
    return [encoded.embedding, encoded.features, encoded.core_attention]


def test_without_torch_arrays_go_in_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _encode()
    binding_of_1_6 = TorchFreeBinding(binding.load_binding())
    monkeypatch.setitem(sys.modules, "executorch.extension.pybindings._C", binding_of_1_6)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("veca_edge.runtime.engines.weight_cache.executorch_version", lambda: "1.6.0")
    with pytest.warns(VecaWarning, match=r"^executorch 1\.6\.0: its cache .* known to work: 1\.4\.x, 1\.5\.x$"):
        found = _encode()
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        np.testing.assert_array_equal(one, other)


def test_the_installed_version_is_a_known_one() -> None:
    """One that is not takes twice the memory."""
    assert binding.executorch_version().startswith(KNOWN_VERSIONS)


@pytest.mark.parametrize(
    ("broken", "error", "expected"),
    [
        (
            "executorch.",
            ImportError("_C.so: undefined symbol: _ZN3c10\nmore"),
            r"beside torch [\w.+]+ \(_C\.so: .*0\)",
        ),
        (
            "torch",
            OSError("libcudart.so.13: no such file"),
            r"beside torch [\w.+]+ \(libcudart\.so\.13: no such file\)",
        ),
        ("executorch.", ModuleNotFoundError("no _C"), "comes without a runtime for Python"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception, expected: str
) -> None:
    def fails(name: str) -> None:
        if name.startswith(broken):
            raise error

    monkeypatch.setattr(binding, "import_module", fails)
    with pytest.raises(VecaError, match=rf"^executorch [\d.]+ (does not load )?{expected}: pip install 'veca-edge"):
        _encode()


def test_loading_while_the_program_ends_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise RuntimeError("can't register atexit after shutdown")  # Python's own word, of PyTorch's import

    monkeypatch.setattr(binding, "import_module", fails)
    with pytest.raises(VecaError, match="the program is ending"):
        binding.load_binding()
