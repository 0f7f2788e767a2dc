"""Exact cost of a VECA model, counted as published: 2 operations per multiply-add of every matrix product.

Elementwise work (norms, softmax, rotary positions, gates) is left out, as is usual. No torch here.
"""

from __future__ import annotations

from veca_edge.model.config import VecaConfig

GIGA = 1_000_000_000

ImageSize = int | tuple[int, int]


def model_gflops(config: VecaConfig, image_size: ImageSize, cores: int, head_classes: int = 0) -> float:
    """GFLOPs of a whole forward pass for one image.

    Args:
        config: the model's sizes.
        image_size: side of a square image, or (height, width), in pixels; multiples of the patch size.
        cores: active cores.
        head_classes: classes of a linear head on the output, 0 for none.

    Raises:
        VecaError: a size or core count that the model cannot take.
    """
    patches, cores = _patches(config, image_size), config.check_cores(cores)
    d, tokens = config.hidden_dim, patches + cores
    embed = 2 * patches * d * config.in_channels * config.patch_size**2
    # The gated MLP: fc1 to twice its hidden width, fc2 back from the hidden width.
    mlp = 2 * tokens * d * 3 * config.ffn_dim
    blocks = config.num_layers * (attention_flops(config, patches, cores) + mlp)
    coordinates = (config.num_layers - 1) * 2 * cores * d * 2
    # Only the first core and the patches are projected: nothing reads the other cores.
    project = 2 * (1 + patches) * d * config.output_dim if config.output_dim else 0
    head = 2 * 2 * config.feature_dim * head_classes
    return (embed + blocks + coordinates + project + head) / GIGA


def _patches(config: VecaConfig, image_size: ImageSize) -> int:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    rows, columns = config.patch_grid(height, width)
    return rows * columns


def attention_flops(config: VecaConfig, patches: int, cores: int) -> int:
    """Operations of one block's attention: q, k, v and output projections, scores and weighted sum.

    Cores read cores and patches, patches read cores.
    """
    pairs = cores * (cores + patches) + patches * cores
    projections = 4 * (cores + patches) * config.hidden_dim**2
    return 2 * projections + 2 * 2 * config.hidden_dim * pairs
