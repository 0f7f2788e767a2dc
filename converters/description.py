"""What a file for devices says about the model inside, whatever the file's format."""

from __future__ import annotations

from typing import Any

from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.pte import Head


def model_facts(checkpoint: Checkpoint, image_size: int) -> dict[str, Any]:
    """The fields of a `Manifest` that follow from the checkpoint and the image size in pixels."""
    config = checkpoint.config
    return {
        "name": checkpoint.path.stem if checkpoint.path else config.family,
        "family": config.family,
        "hidden_dim": config.hidden_dim,
        "feature_dim": config.feature_dim,
        "num_heads": config.num_heads,
        "num_layers": config.num_layers,
        "patch_size": config.patch_size,
        "num_cores": config.num_cores,
        "chunk_size": config.chunk_size,
        "image_size": image_size,
        "preprocessing": Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": image_size}),
        "source_digest": checkpoint.digest,
    }


def classifier_of(checkpoint: Checkpoint) -> Head | None:
    """The checkpoint's head as the runtime computes it, None without one."""
    head = checkpoint.head
    return None if head is None else Head(head["weight"].numpy(), head["bias"].numpy())
