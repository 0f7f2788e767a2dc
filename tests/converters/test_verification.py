"""What passes as the same model, by target and quantization."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from veca_edge.converters.verification import Row, Verification

NAN = float("nan")


@pytest.mark.parametrize(
    ("target", "quantization", "row", "passed"),
    [
        ("executorch", "fp32", Row("m", 8, 1, 1, 0.9e-4, None), True),
        ("executorch", "fp32", Row("m", 8, 1, 1, NAN, None), False),
        ("executorch", "int8", Row("m", 8, NAN, NAN, 0.5, None), False),
        ("coreml", "fp32", Row("m", 8, 1, 1, 0.9e-5, None, 1.0), True),
        ("coreml", "fp32", Row("m", 8, 1, 1, 1.1e-5, None, 0.0), False),
        ("coreml", "fp16", Row("m", 8, 1, 1, 0.5, None, 0.9e-2), True),
        ("coreml", "fp16", Row("m", 8, 1, 1, 0.0, None, 1.1e-2), False),
        ("coreml", "fp16", Row("m", 8, 1, 1, 0.0, None, NAN), False),
        ("coreml", "int8", Row("m", 8, 0, 0.991, 1, None, 1.0), True),
        ("coreml", "int8", Row("m", 8, 1, 0.989, 0, None, 0.0), False),
        ("coreml", "palette4", Row("m", 8, 0, 0.951, 1, None, 1.0), True),
        ("coreml", "int4", Row("m", 8, 1, 0.949, 0, None, 0.0), False),
        ("coreml", "int4", Row("m", 8, 1, NAN, 0, None, 0.0), False),
    ],
)
def test_tolerances(target: str, quantization: str, row: Row, passed: bool) -> None:
    outcome = Verification(quantization, 1, (row,), target)
    assert outcome.passed is passed
    again = Verification.from_dict(outcome.to_dict())
    assert again == outcome or np.isnan([row.norm_error, row.feature_cosine, row.max_error]).any()
