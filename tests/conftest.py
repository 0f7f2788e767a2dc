"""Shared by all tests: a cache folder of their own, and models that are converted once per run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.paths import CLIP, GOLDEN
from veca_edge import Model, load
from veca_edge.camera.frames import Frame
from veca_edge.camera.sources import open_source
from veca_edge.errors import VecaError

# Read when PyTorch is imported, here and in the processes that are started; a folder's own conftest.py imports it
# before `pytest_configure`.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Workers of one run (`pytest -n 2`) keep to processors of their own, and so do the processes that they start.

    Without that each takes as many threads as there are processors, and these mostly wait for one another. PyTorch
    takes one thread in any case: where a processor is busy with something else, its threads spin for each other.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        processors = sorted(os.sched_getaffinity(0))
        own = processors[int(worker.removeprefix("gw")) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]
        os.sched_setaffinity(0, own or processors)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("RUN_SLOW"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: set RUN_SLOW=1"))


@contextmanager
def _skipping_what_python_lacks() -> Iterator[None]:
    """There is no coremltools for Python 3.14: what needs it is skipped there, and fails anywhere else."""
    try:
        yield
    except (ModuleNotFoundError, VecaError) as error:
        if sys.version_info < (3, 14) or "coremltools" not in str(error):
            raise
        pytest.skip("there is no coremltools for this Python")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Iterator[None]:
    with _skipping_what_python_lacks():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    with _skipping_what_python_lacks():
        yield


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache folder stays untouched."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("VECA_EDGE_CACHE")
    os.environ["VECA_EDGE_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["VECA_EDGE_CACHE"]
    else:
        os.environ["VECA_EDGE_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """All models that a test run has open share their number of threads, so nobody is surprised by another's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("veca_edge.runtime.threads.usable_cores", lambda: [0])
        yield


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A real photo (144, 144, 3) of a carton of milk."""
    from veca_edge.photos.samples import sample_images

    return sample_images()[6]


@pytest.fixture(scope="session")
def frames() -> list[Frame]:
    """All frames of the packaged clip."""
    with open_source(str(CLIP)) as source:
        return list(source)


@pytest.fixture(scope="session")
def default_model_file() -> Path:
    """The packaged model, converted to int8 as at the first `veca-edge run`."""
    from veca_edge.conversion.default import default_model_path

    return default_model_path()


@pytest.fixture(scope="session")
def model(default_model_file: Path) -> Model:
    """It, loaded. Whoever changes it loads one of their own."""
    return load(default_model_file)


@pytest.fixture(scope="session")
def golden_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint in fp32, verified."""
    from veca_edge.conversion.convert import ConvertRequest, convert

    path, source = tmp_path_factory.mktemp("golden") / "golden.pte", GOLDEN / "published-96.pt"
    convert(ConvertRequest(source, output=path, quantize="fp32", cores=(8, 24, 64), evaluate=False))
    return path
