"""What passes as the same model, by target and quantization, and the images on which that is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.converters.checkpoints import random_checkpoint
from tests.dense_sets import write_masks
from tests.photos.labelled_photos import write_folders
from veca_edge.converters.verification import Row, Verification, answer_with
from veca_edge.model.checkpoint import write_checkpoint

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


@pytest.mark.parametrize(
    ("kind", "write", "wide"),
    [
        ("images", lambda folder: write_folders(folder, {".": 3}), [100] * 3),
        ("data", lambda folder: write_folders(folder, {".": 6}), [100] * 3 + [144] * 5),  # half is learned from
        ("data", lambda folder: write_masks(folder, train=2, val=4), [120] * 4 + [144] * 4),  # photos, not masks
        ("data", lambda folder: write_masks(folder, train=2, val=9), [120] * 8),
        ("", None, [144] * 8),
    ],
)
def test_photos_of_the_user_come_before_packaged_ones(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    write: Callable[[Path], object] | None,
    wide: list[int],
) -> None:
    work: list[Callable[..., Any]] = []
    monkeypatch.setattr("veca_edge.converters.verification.answer", work.append)
    seen: list[int] = []

    def compare(path: Path, checkpoint: object, images: Any, progress: object) -> Verification:
        seen.extend(image.shape[1] for image in images)
        return Verification("int8", len(images), ())

    write_checkpoint(random_checkpoint(), tmp_path / "tiny.pt")
    (tmp_path / "photos").mkdir()
    if write is not None:
        write(tmp_path / "photos")
    answer_with(compare, 8)
    named = (kind, str(tmp_path / "photos")) if kind else ()
    work[0]("m.pte", str(tmp_path / "tiny.pt"), *named, progress=lambda _: None)
    assert seen == wide
