"""Checkpoints in the published format, with our own optional head, labels and preprocessing.

A checkpoint is a `torch.save` dictionary: `student` (state dict) and `config`, and beside them

    head           {"weight": (K, 2 D'), "bias": (K,)}, a linear classifier
    labels         K names
    heads          {name: {"kind", "weight": (K k k, D'), "bias", "cells": k, "labels", "colours"
                   | "unit", "range"}}, see `modelfile.heads`
    certainty      {"temperature", "threshold", "about"}, see `modelfile.certainty`
    preprocessing  {"image_size": int, "fit": "crop" | "pad" | "stretch" | "keep", "mean": [3], "std": [3]}
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from veca_edge.errors import VecaError, shown
from veca_edge.files import write_whole
from veca_edge.image.preprocessing import Preprocessing, check_whole_patches
from veca_edge.model.config import VecaConfig
from veca_edge.model.safetensors import is_safetensors, read_safetensors
from veca_edge.model.untrusted import load_untrusted
from veca_edge.model.veca import Head, Veca
from veca_edge.model.weights import check_shape, check_state, check_tensor, to_float32
from veca_edge.model.wrappers import find_state
from veca_edge.modelfile.certainty import Certainty
from veca_edge.modelfile.heads import DenseHead, read_tasks
from veca_edge.modelfile.means import Means

MAX_CLASSES = 1_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Attributes:
        config: sizes and settings.
        state: published names (prefixes removed) to float32 CPU tensors, finite and of the expected shapes.
        head: {"weight": (K, 2 D'), "bias": (K,)} float32, or None.
        labels: K names of the head's classes, () without a head; names may repeat, as in ImageNet's.
        preprocessing: image_size (pixels), fit, mean and std (per channel, for pixel values in 0..1).
        dense: heads for every patch, by name.
        certainty: how sure the head must be of a label, None where nobody has fitted that.
        digest: SHA-256 of the file's bytes, hexadecimal; "" for one that was never a file.
        path: where it was read from, or None.
        means: what photos have in common, None unless a conversion has measured it; no file of a checkpoint has it.
    """

    config: VecaConfig
    state: dict[str, Tensor]
    head: dict[str, Tensor] | None
    labels: tuple[str, ...]
    preprocessing: dict[str, Any]
    dense: tuple[DenseHead, ...] = ()
    certainty: Certainty | None = None
    digest: str = ""
    path: Path | None = None
    means: Means | None = None

    def build(self) -> Veca:
        """A new model with these weights, in eval mode; changing it leaves the checkpoint alone."""
        # On the meta device nothing is allocated twice or initialised for nothing.
        with torch.device("meta"):
            model = Veca(self.config)
        model.load_state_dict({name: value.clone() for name, value in self.state.items()}, assign=True)
        ready: Veca = model.eval()
        return ready

    def build_head(self) -> Head | None:
        """A new head with these weights, in eval mode, or None if there is none."""
        if self.head is None:
            return None
        head = Head(self.config.feature_dim, len(self.head["bias"]))
        head.linear.load_state_dict(self.head)
        ready: Head = head.eval()
        return ready


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read and check a checkpoint; nothing in the file is executed.

    Args:
        path: a published checkpoint, one of ours, a bare state dict or one in a trainer's dictionaries; or a
            .safetensors file, or the index of several. Names that wrappers left are fine.

    Raises:
        VecaError: one line that names the file, what is wrong with it, and what to do.
    """
    path = Path(path)
    try:
        data, digest = read_safetensors(path) if is_safetensors(path) else load_untrusted(path)
        state = find_state(data)
        config = VecaConfig.from_published(_config_of(data), {k: tuple(v.shape) for k, v in state.items()})
        weights = check_state(state, config)
        head = _read_head(data.get("head"), config)
        labels = _read_labels(data.get("labels"), len(head["bias"]) if head else 0)
        preprocessing = _read_preprocessing(data.get("preprocessing"), config.patch_size)
        dense = _read_dense(data.get("heads"), config)
        certainty = _read_certainty(data.get("certainty"), head is not None)
    except VecaError as error:
        raise VecaError(f"{path}: {error}") from error
    return Checkpoint(config, weights, head, labels, preprocessing, dense, certainty, digest, path)


def write_checkpoint(checkpoint: Checkpoint, path: str | os.PathLike[str], half: bool = True) -> None:
    """Write a checkpoint that `read_checkpoint` reads back; the file appears complete or not at all.

    Args:
        checkpoint: what to write; its digest and path are ignored.
        path: the file to create or replace; its directory must exist.
        half: store float16 (half the size, about 3 digits) instead of float32.

    Raises:
        VecaError: weights that do not fit, or a file that cannot be written.
    """
    data: dict[str, Any] = {
        "student": _stored(check_state(checkpoint.state, checkpoint.config), half),
        "config": checkpoint.config.to_published(),
        "preprocessing": _read_preprocessing(checkpoint.preprocessing, checkpoint.config.patch_size),
    }
    head = _read_head(checkpoint.head, checkpoint.config)
    if head is not None:
        data["head"] = _stored(head, half)
        data["labels"] = list(_read_labels(checkpoint.labels, len(head["bias"])))
        if checkpoint.certainty is not None:
            data["certainty"] = checkpoint.certainty.to_dict()
    if checkpoint.dense:
        stored = {head.task.name: head.task.to_dict() | _stored(_tensors(head), half) for head in checkpoint.dense}
        _read_dense(stored, checkpoint.config)
        data["heads"] = stored
    # Through memory: torch's own writer does not report a full disk as an ordinary error.
    buffer = io.BytesIO()
    torch.save(data, buffer)
    write_whole(Path(path), buffer.getvalue())


def default_checkpoint_path() -> Path:
    """The checkpoint that comes with the package: a small model of 153 things, and of people."""
    return Path(str(resources.files("veca_edge") / "assets" / "everyday.pt"))


def default_preprocessing(patch_size: int = 16) -> dict[str, Any]:
    """As published: 256 pixels (or the next smaller multiple of the patch), ImageNet statistics."""
    return Preprocessing(max(Preprocessing.image_size // patch_size, 1) * patch_size).to_dict()


def _config_of(data: Mapping[str, Any]) -> Mapping[str, Any]:
    config = data.get("config")
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise VecaError(f"'config' is a {type(config).__name__}, expected a dictionary")
    return config


def _read_head(head: Any, config: VecaConfig) -> dict[str, Tensor] | None:
    if head is None:
        return None
    if not isinstance(head, Mapping) or "weight" not in head:
        raise VecaError("'head' is not a dictionary with 'weight' and 'bias'")
    weight = check_tensor("head.weight", head["weight"])
    width = 2 * config.feature_dim
    if weight.ndim != 2 or weight.shape[1] != width or not 1 <= weight.shape[0] <= MAX_CLASSES:
        want = f"expected (classes, {width}): the embedding beside the mean feature"
        raise VecaError(f"head.weight has shape {tuple(weight.shape)}, {want}")
    classes = weight.shape[0]
    bias = check_tensor("head.bias", head["bias"]) if head.get("bias") is not None else torch.zeros(classes)
    check_shape("head.bias", bias, (classes,))
    return {"weight": to_float32("head.weight", weight), "bias": to_float32("head.bias", bias)}


def _read_dense(heads: Any, config: VecaConfig) -> tuple[DenseHead, ...]:
    if heads is None:
        return ()
    found = []
    for task in read_tasks(heads):
        name, values = f"heads.{task.name}", heads[task.name]
        weight, bias = (check_tensor(f"{name}.{part}", values.get(part)) for part in ("weight", "bias"))
        check_shape(f"{name}.weight", weight, (task.outputs, config.feature_dim))
        check_shape(f"{name}.bias", bias, (task.outputs,))
        arrays = to_float32(f"{name}.weight", weight).numpy(), to_float32(f"{name}.bias", bias).numpy()
        found.append(DenseHead(task, *arrays))
    return tuple(found)


def _read_certainty(values: Any, has_head: bool) -> Certainty | None:
    return Certainty.from_dict(values) if values is not None and has_head else None


def _tensors(head: DenseHead) -> dict[str, Tensor]:
    return {"weight": torch.from_numpy(head.weight), "bias": torch.from_numpy(head.bias)}


def _read_labels(labels: Any, classes: int) -> tuple[str, ...]:
    """Class names; a head without any gets numbered ones, so that there is always one per class."""
    if labels is None or (isinstance(labels, (list, tuple)) and not labels):
        return tuple(f"class {i}" for i in range(classes))
    if isinstance(labels, Mapping):
        labels = _in_order(labels)
    if not isinstance(labels, (list, tuple)):
        raise VecaError(f"'labels' is a {type(labels).__name__}, expected a list of names")
    if len(labels) != classes:
        have = f"the head has {classes} classes" if classes else "there is no head"
        raise VecaError(f"{len(labels)} labels, but {have}; give one label per class")
    return tuple(_label(value, index) for index, value in enumerate(labels))


def _in_order(labels: Mapping[Any, Any]) -> list[Any]:
    """The values of {0: name, 1: name, ...}; the keys may be text."""
    by_number = {str(key): value for key, value in labels.items()}
    if set(by_number) != {str(i) for i in range(len(labels))}:
        raise VecaError("'labels' is a dictionary whose keys are not 0, 1, 2, ...; give a list of names")
    return [by_number[str(i)] for i in range(len(labels))]


def _label(value: Any, index: int) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise VecaError(f"label {index} is a {type(value).__name__}, expected a name")
    text = str(value).strip()
    if not text or not text.isprintable():
        raise VecaError(f"label {index} is {shown(value)}, expected a printable name")
    return text


def _read_preprocessing(value: Any, patch_size: int) -> dict[str, Any]:
    result = default_preprocessing(patch_size)
    if value is None:
        return result
    if not isinstance(value, Mapping):
        raise VecaError(f"'preprocessing' is a {type(value).__name__}, expected a dictionary")
    given = {key: value[key] for key in result if value.get(key) is not None}
    preprocessing = Preprocessing.from_dict(result | given)
    check_whole_patches(preprocessing.image_size, patch_size)
    return preprocessing.to_dict()


def _stored(tensors: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    if not half:
        return dict(tensors)
    result = {name: tensor.half() for name, tensor in tensors.items()}
    for name, tensor in result.items():
        if not bool(tensor.isfinite().all()):
            raise VecaError(f"{name} holds values too large for half precision; write it with half=False")
    return result
