"""Dense heads as files hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from veca_edge.errors import VecaError
from veca_edge.modelfile.heads import MAX_HEADS, DenseHead, DenseTask, class_colours, head_name, read_tasks

SEEN = {"kind": "segmentation", "cells": 2, "labels": ["ground", "thing"]}
DEPTH = {"kind": "regression", "cells": 4, "unit": "m", "range": [0, 10]}


def test_tasks_are_read_as_they_are_written() -> None:
    tasks = read_tasks({"depth": DEPTH, "seen": SEEN})
    assert [task.name for task in tasks] == ["depth", "seen"]
    assert tasks[0].outputs == 16
    assert tasks[1].outputs == 8
    assert read_tasks({task.name: task.to_dict() for task in tasks}) == tasks


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("People", SEEN, "cannot name a head"),
        ("logits", SEEN, "another output of a model file"),
        ("a" * 40, SEEN, "cannot name a head"),
        ("seen", [], "not a table"),
        ("seen", SEEN | {"kind": "boxes"}, "expected segmentation or regression"),
        ("seen", SEEN | {"kind": ["regression"]}, "expected segmentation or regression"),
        ("seen", SEEN | {"cells": 17}, "use 1 to 16"),
        ("seen", SEEN | {"cells": True}, "use 1 to 16"),
        ("seen", SEEN | {"cells": 10**400}, "use 1 to 16"),
        ("seen", SEEN | {"labels": ["ground"]}, "1 class"),
        ("seen", SEEN | {"labels": ["ground", "ground"]}, "two classes are called ground"),
        ("seen", SEEN | {"labels": ["ground", "a\x1b[2J"]}, "not a printable name"),
        ("seen", SEEN | {"labels": [str(n) for n in range(257)]}, "at most 256"),
        ("seen", SEEN | {"labels": 3}, "not a list"),
        ("seen", SEEN | {"colours": [[0, 0, 0]]}, "1 colours for 2 classes"),
        ("seen", SEEN | {"colours": [[0, 0, 0], [0, 0, 300]]}, "three numbers"),
        ("depth", DEPTH | {"range": [3, 3]}, "the first must be the smaller"),
        ("depth", DEPTH | {"range": [3, 3 + 1e-9]}, "the first must be the smaller"),  # in float32 it is not
        ("depth", DEPTH | {"range": [0, float("nan")]}, "two numbers"),
        ("depth", DEPTH | {"range": [0, 10**400]}, "two numbers"),
        ("depth", DEPTH | {"range": [-1e308, 1e308]}, "two numbers"),
        ("depth", DEPTH | {"unit": "m" * 30}, "not a short text"),
    ],
)
def test_what_no_head_can_be_is_one_line(name: str, values: Any, message: str) -> None:
    with pytest.raises(VecaError, match=message) as caught:
        read_tasks({name: values})
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_there_are_not_many_heads() -> None:
    with pytest.raises(VecaError, match="at most"):
        read_tasks({f"head{n}": SEEN for n in range(MAX_HEADS + 1)})


def test_outputs_lie_in_the_picture_as_pixel_shuffle_puts_them() -> None:
    """The order is PyTorch's: (value, row of cells, column of cells)."""
    task = DenseTask("seen", "segmentation", 3, ("a", "b"), class_colours("ab"))
    outputs = np.arange(2 * 4 * task.outputs, dtype=np.float32).reshape(8, -1)
    planes = torch.from_numpy(outputs).T.reshape(1, task.outputs, 2, 4)
    expected = F.pixel_shuffle(planes, 3)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(task.grid(outputs, 2, 4), expected)


def test_some_patches_are_redrawn_in_a_copy() -> None:
    task, rng = DenseTask("seen", "segmentation", 3, ("a", "b"), class_colours("ab")), np.random.default_rng(0)
    before, after = rng.random((2, 8, task.outputs), np.float32)
    picture, patches = task.grid(before, 2, 4), np.array([1, 3, 6])
    redrawn = task.redrawn(picture, after[patches], patches)
    assert np.array_equal(picture, task.grid(before, 2, 4))
    before[patches] = after[patches]
    assert np.array_equal(redrawn, task.grid(before, 2, 4))


def test_a_head_whose_width_does_not_fit_its_task_is_refused() -> None:
    task = DenseTask("seen", "segmentation", 2, ("a", "b"), class_colours("ab"))
    with pytest.raises(VecaError, match="expected 8: 2 values x 2 x 2 cells"):
        DenseHead(task, np.zeros((7, 5), np.float32), np.zeros(7, np.float32))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("people", "people"),
        ("My Rooms!", "my_rooms"),
        ("2024-depth", "depth"),
        ("苹果", "dense"),
        ("image", "image_head"),
    ],
)
def test_a_folder_names_a_head(text: str, name: str) -> None:
    assert head_name(text) == name


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
