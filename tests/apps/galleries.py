"""Files of galleries that the apps' languages write, read by Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.paths import GOLDEN
from veca_edge.gallery.gallery import Gallery
from veca_edge.modelfile.means import Means


def check_gallery(path: Path, label: str) -> None:
    """It holds what gallery.json's file does, and one more example: a picture of this label, -0.25 + 0.001 i."""
    told = json.loads((GOLDEN / "gallery.json").read_text())["file"]
    gallery = Gallery.load(path)
    *kept, last = gallery.examples
    assert gallery.model == told["model"]
    assert gallery.means == Means.from_dict(told["means"], len(last.vector))
    wanted_facts = [(e["label"], e["region"], e["image_size"]) for e in told["examples"]]
    assert [(e.label, e.region, e.image_size) for e in kept] == wanted_facts
    for example, wanted in zip(kept, told["examples"], strict=True):
        np.testing.assert_array_equal(example.vector, np.array(wanted["vector"], np.float32))
    assert (last.label, last.region, last.image_size) == (label, False, 16)
    np.testing.assert_allclose(last.vector, 1e-3 * np.arange(len(last.vector)) - 0.25, rtol=1e-6)
