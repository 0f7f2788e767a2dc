"""What a checkpoint contains, as plain values for people and for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from veca_edge.model.config import VecaConfig, parameter_count
from veca_edge.model.flops import model_gflops

if TYPE_CHECKING:
    from veca_edge.model.checkpoint import Checkpoint

RESOLUTIONS = (256, 384, 512, 768, 1024)


def summarize(checkpoint: Checkpoint) -> dict[str, Any]:
    """Sizes, budgets, cost, heads, labels and preprocessing of a checkpoint.

    Returns:
        JSON values only. "gflops" maps a core count to {side of a square image in pixels: GFLOPs}.
    """
    config = checkpoint.config
    classes = len(checkpoint.labels)
    return {
        "kind": "checkpoint",
        "path": str(checkpoint.path) if checkpoint.path else None,
        "sha256": checkpoint.digest,
        "bytes": checkpoint.path.stat().st_size if checkpoint.path else None,
        "family": config.family,
        "hidden_dim": config.hidden_dim,
        "num_layers": config.num_layers,
        "num_heads": config.num_heads,
        "head_dim": config.head_dim,
        "ffn_dim": config.ffn_dim,
        "feature_dim": config.feature_dim,
        "patch_size": config.patch_size,
        "num_cores": config.num_cores,
        "chunk_size": config.chunk_size,
        "budgets": list(config.budgets),
        "budget_weights": list(config.budget_weights),
        "parameters": parameter_count(config),
        "head_parameters": _head_parameters(checkpoint),
        "gflops": gflops_table(config, classes, int(checkpoint.preprocessing["image_size"])),
        "head_classes": classes,
        "labels": list(checkpoint.labels),
        "certainty": None if checkpoint.certainty is None else checkpoint.certainty.to_dict(),
        "heads": {dense.task.name: dense.task.to_dict() for dense in checkpoint.dense},
        "preprocessing": dict(checkpoint.preprocessing),
    }


def _head_parameters(checkpoint: Checkpoint) -> int:
    """Of the classifier and of the dense heads."""
    linear = len(checkpoint.labels) * (2 * checkpoint.config.feature_dim + 1) if checkpoint.head else 0
    return linear + sum(dense.weight.size + dense.bias.size for dense in checkpoint.dense)


def gflops_table(config: VecaConfig, head_classes: int, own: int) -> dict[str, dict[str, float]]:
    """GFLOPs per image by core count and side in pixels, `own` among them; sides are whole patches."""
    sides = sorted({max(side // config.patch_size, 1) * config.patch_size for side in (own, *RESOLUTIONS)})
    return {
        str(cores): {str(side): model_gflops(config, side, cores, head_classes) for side in sides}
        for cores in config.budgets
    }
