from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veca_edge.training.teachers import mobilenet_shapes

Arrays = dict[str, Any]  # float arrays by name


@pytest.fixture(scope="session")
def arrays() -> Arrays:
    """A MobileNetV2 with random weights that keep values in range."""
    generator = np.random.default_rng(0)
    made: Arrays = {}
    for name, shape in mobilenet_shapes().items():
        values = generator.standard_normal(shape)
        if name.endswith("weight"):
            values *= np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith(("gamma", "var")):
            values = 1 + 0.2 * np.tanh(values)
        else:
            values *= 0.1
        made[name] = values.astype(np.float16 if name.endswith("weight") else np.float32)
    return made


@pytest.fixture(scope="session")
def mobilenet(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("teacher") / "mobilenet.npz"
    np.savez(path, **arrays)
    return path
