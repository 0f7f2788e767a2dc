"""What a file for devices says about the model inside, and what it may offer, whatever the file's format."""

from __future__ import annotations

from typing import Any

from veca_edge.image.preprocessing import Preprocessing, check_whole_patches
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY
from veca_edge.modelfile.pte import Head

SAME_AS_IN_CONFIG = (
    *("family", "hidden_dim", "feature_dim", "num_heads", "num_layers"),
    *("patch_size", "num_cores", "chunk_size"),
)


def model_facts(checkpoint: Checkpoint, image_size: int) -> dict[str, Any]:
    """The fields of a `Manifest` that follow from the checkpoint and the image size in pixels."""
    config = checkpoint.config
    return {name: getattr(config, name) for name in SAME_AS_IN_CONFIG} | {
        "name": checkpoint.path.stem if checkpoint.path else config.family,
        "image_size": image_size,
        "preprocessing": Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": image_size}),
        "source_digest": checkpoint.digest,
        "certainty": checkpoint.certainty or DEFAULT_CERTAINTY,
        "means": checkpoint.means,
        "heads": {head.task.name: head.task.to_dict() for head in checkpoint.dense},
    }


def classifier_of(checkpoint: Checkpoint) -> Head | None:
    """The checkpoint's head as the runtime computes it, None without one."""
    head = checkpoint.head
    return None if head is None else Head(head["weight"].numpy(), head["bias"].numpy())


def check_budgets(checkpoint: Checkpoint, budgets: tuple[int, ...] | None) -> tuple[int, ...]:
    """Core counts to offer, ascending; None stands for all that the model was trained with.

    Raises:
        VecaError: a number of cores that the model cannot run with.
    """
    config = checkpoint.config
    return tuple(sorted({config.check_cores(cores) for cores in budgets or config.budgets}))


def check_image_size(checkpoint: Checkpoint, size: int | None) -> int:
    """The side of an image in pixels; None stands for the checkpoint's own.

    Raises:
        VecaError: the size is not made of whole patches, or out of range.
    """
    size, patch = int(size or checkpoint.preprocessing["image_size"]), checkpoint.config.patch_size
    Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": size})
    check_whole_patches(size, patch)
    return size
