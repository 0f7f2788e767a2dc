"""Which runtimes there are to compare with, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from veca_edge.errors import VecaError

if TYPE_CHECKING:
    from veca_edge.calibration.benchmark.against.baseline import Baseline, Source


@dataclass(frozen=True)
class Runtime:
    """A runtime.

    Attributes:
        module: of this package; its `baselines(source)` makes them.
        needs: modules that must be installed.
        packages: whose versions a report tells.
    """

    module: str
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


RUNTIMES = {
    "torch": Runtime("eager"),
    "torch-compile": Runtime("compiled", packages=("torchao",)),
    "onnxruntime": Runtime("onnx_runtime", ("onnx", "onnxscript", "onnxruntime"), ("onnx", "onnxruntime")),
    "openvino": Runtime("open_vino", ("openvino",), ("openvino", "nncf")),
    "dense": Runtime("dense"),
}


def open_baselines(names: Sequence[str], source: Source) -> list[Baseline]:
    """The baselines of these runtimes; `source.note` hears of each that is not installed.

    Raises:
        VecaError: none of them is.
    """
    baselines: list[Baseline] = []
    notes: list[str] = []
    for name in dict.fromkeys(names):
        runtime = RUNTIMES[name]
        missing = [module for module in runtime.needs if find_spec(module) is None]
        if missing:
            notes.append(lacking(name, missing[0]))
            continue
        make: Callable[[Source], list[Baseline]] = import_module(
            f"veca_edge.calibration.benchmark.against.{runtime.module}"
        ).baselines
        baselines += make(replace(source, note=notes.append))
    if names and not baselines:
        raise VecaError("; ".join(notes))
    for note in notes:
        source.note(note)
    return baselines


def lacking(what: str, module: str) -> str:
    """What to say of something that needs a module which is not installed."""
    return f"{what} is left out: it needs {module}, which is not installed: pip install 'veca-edge[against]'"
