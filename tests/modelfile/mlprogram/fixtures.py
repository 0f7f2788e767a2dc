"""Small packages made with coremltools, as other people's tools make them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veca_edge.modelfile.mlprogram.package import Package, open_package

Write = Callable[..., Package]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a package whose one function is `build(x)`, in coremltools' builder, of a float32 input."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813

    def make(
        build: Callable[[Any, Any], Any], shape: tuple[int, ...], target: Any = None, half: bool = False
    ) -> Package:
        target = target or ct.target.iOS18
        program = mb.program(input_specs=[mb.TensorSpec(shape)], opset_version=target)(lambda x: build(mb, x))
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=target,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            pass_pipeline=ct.PassPipeline.DEFAULT if half else ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mlpackage"
        model.save(str(path))
        return open_package(path)

    return make


@pytest.fixture(scope="session")
def linear_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with one function, "main": x (2, 8) times a stored matrix, plus a stored bias, and its tanh."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813

    random = np.random.default_rng(0)
    weight, bias = (random.standard_normal(shape).astype(np.float32) for shape in ((16, 8), (16,)))

    @mb.program(input_specs=[mb.TensorSpec((2, 8))], opset_version=ct.target.iOS18)  # type: ignore[untyped-decorator]
    def program(x: Any) -> Any:
        return mb.tanh(x=mb.linear(x=x, weight=weight, bias=bias, name="product"), name="y")

    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        skip_model_load=True,
    )
    model.author = "someone"
    path = tmp_path_factory.mktemp("linear") / "linear.mlpackage"
    model.save(str(path))
    return path


@pytest.fixture
def copied(linear_package: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return Path(shutil.copytree(linear_package, tmp_path / "copy.mlpackage"))
