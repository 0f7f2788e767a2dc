"""torch.compile: the model's own code, turned into C++ by PyTorch's compiler."""

from __future__ import annotations

import shutil
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch

from veca_edge.calibration.benchmark.against.baseline import Baseline, Call, Source, silent
from veca_edge.calibration.benchmark.against.eager import FixedCores, forward, normalised
from veca_edge.calibration.benchmark.against.runtimes import lacking
from veca_edge.calibration.benchmark.target import Input
from veca_edge.model.veca import Veca

MOST_GRAPHS = 64  # of one piece of code: one per core budget and image size, twice


def baselines(source: Source) -> list[Baseline]:
    """In float32, and in int8 as torchao quantizes it, with the weights packed beforehand ("freezing")."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        source.note("torch-compile is left out: it needs a C++ compiler, and none is on the path")
        return []
    torch.set_num_threads(source.threads)
    found = [_baseline(source, source.checkpoint.build(), "fp32", "torch.compile with its defaults", {})]
    if find_spec("torchao") is None:
        source.note(lacking("torch-compile int8", "torchao"))
        return found
    with silent():
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        model = source.checkpoint.build()
        quantize_(model, Int8DynamicActivationInt8WeightConfig())
    how = "torch.compile with freezing; torchao int8: weights by output channel, activations by row"
    return [*found, _baseline(source, model, "int8", how, {"freezing": True})]


def _baseline(source: Source, model: Veca, precision: str, how: str, options: dict[str, Any]) -> Baseline:
    def prepare(given: Input, cores: int) -> Call:
        compiled = torch.compile(FixedCores(model, cores), dynamic=False, options=options)
        call = partial(forward, compiled, normalised(source.checkpoint, given.fitted))
        with torch._dynamo.config.patch(recompile_limit=MOST_GRAPHS), silent():
            call()
        return call

    return Baseline("torch-compile", precision, how, prepare)
