"""Is this app right? Three photos through the model, held against what the checkpoint says in fp32.

`tests/golden/end-to-end.json` holds the expectation; it belongs into the app with the three photos that it names. A
wrong channel order, a stretched crop or another model file all show here, and nowhere else so clearly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge import Model

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Check:
    """One photo at one core budget.

    Attributes:
        photo: the file's name.
        cores: the budget.
        embedding_cosine: to the expected embedding, -1..1.
        logits: the largest difference of a logit.
        label, expected: the most likely label here, and in the expectation.
        passed: whether all of it is within the tolerance.
    """

    photo: str
    cores: int
    embedding_cosine: float
    logits: float
    label: str
    expected: str
    passed: bool

    def __str__(self) -> str:
        verdict = "ok   " if self.passed else "WRONG"
        return f"{verdict} {self.photo}, {self.cores} cores: {self.label}, cosine {self.embedding_cosine:.4f}"


def golden_checks(
    model: Model, golden: Mapping[str, Any], target: str, photo: Callable[[str], Image]
) -> Iterator[Check]:
    """Check photo by photo, budget by budget; seconds in all, so not on the main thread.

    Args:
        model: the model that comes with veca-edge, converted.
        golden: what `end-to-end.json` holds.
        target: whose tolerance holds, such as "executorch-int8".
        photo: gives the photo of a name as decoded: uint8 (H, W, 3), RGB, in its own size.
    """
    tolerance = golden["tolerances"][target]
    for entry in golden["photos"]:
        image = photo(entry["file"])
        for cores, expected in entry["budgets"].items():
            yield check(model, image, entry["file"], int(cores), expected, tolerance)


def check(
    model: Model, image: Image, name: str, cores: int, expected: Mapping[str, Any], tolerance: Mapping[str, Any]
) -> Check:
    """One photo at one budget against its expectation."""
    result = model(image, cores)
    wanted = np.array(expected["embedding"], np.float32)
    lengths = float(np.linalg.norm(result.embedding) * np.linalg.norm(wanted))
    cosine = float(result.embedding @ wanted) / max(lengths, 1e-12)
    logits = np.inf if result.logits is None else float(abs(result.logits - np.array(expected["logits"])).max())
    label = "" if result.logits is None else result.top(1)[0].label
    right = label == expected["top"][0][0]
    close = cosine >= tolerance["embedding_cosine"] and logits <= tolerance["logits"]
    return Check(
        name, cores, cosine, logits, label, expected["top"][0][0], close and (right or not tolerance["top1"])
    )
