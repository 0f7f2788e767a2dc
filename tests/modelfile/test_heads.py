from __future__ import annotations

import numpy as np

from veca_edge.modelfile.heads import class_colours


def test_colours_are_bright_and_each_differs() -> None:
    labels = ["background", *(f"class {n}" for n in range(255))]
    colours = class_colours(labels)
    assert colours[0] == (0, 0, 0)
    assert len(set(colours)) == 256
    assert min(max(colour) for colour in colours[1:]) > 140
    first = np.array(colours[1:9], int)
    apart = np.abs(first[:, None] - first[None]).sum(-1) + 1000 * np.eye(8, dtype=int)
    assert apart.min() > 100


def test_only_a_background_is_black() -> None:
    assert class_colours(["Background", "cat"])[0] == (0, 0, 0)
    assert class_colours(["cat", "background"]) == class_colours(["a", "b"])
    assert (0, 0, 0) not in class_colours(["cat", "dog"])
