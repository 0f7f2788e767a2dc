"""Exact cost of a VECA model, counted as published: 2 operations per multiply-add of every matrix product.

Elementwise work (norms, softmax, rotary positions, gates) is left out, as is usual. No torch here.
"""

from __future__ import annotations

from veca_edge.model.config import VecaConfig

GIGA = 1_000_000_000
# A DINOv3 teacher carries one class token and four register tokens beside the patches.
DINOV3_EXTRA_TOKENS = 5

ImageSize = int | tuple[int, int]


def attention_block_gflops(config: VecaConfig, image_size: ImageSize, cores: int) -> float:
    """GFLOPs of one block's attention: q, k, v and output projections, and the attention itself.

    Args:
        config: the model's sizes.
        image_size: side of a square image, or (height, width), in pixels; multiples of the patch size.
        cores: active cores.

    Raises:
        VecaError: a size or core count that the model cannot take.
    """
    patches = _patches(config, image_size)
    return _attention(config, patches, config.check_cores(cores)) / GIGA


def dense_attention_block_gflops(
    config: VecaConfig, image_size: ImageSize, extra_tokens: int = DINOV3_EXTRA_TOKENS
) -> float:
    """GFLOPs of one attention block of a dense vision transformer of the same width and patch size.

    Args:
        config: gives the width and the patch size.
        image_size: side of a square image, or (height, width), in pixels; multiples of the patch size.
        extra_tokens: class and register tokens beside the patches.
    """
    tokens = _patches(config, image_size) + extra_tokens
    return (_projections(config, tokens) + 4 * config.hidden_dim * tokens * tokens) / GIGA


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
    blocks = config.num_layers * (_attention(config, patches, cores) + mlp)
    coordinates = (config.num_layers - 1) * 2 * cores * d * 2
    # Only the first core and the patches are projected: nothing reads the other cores.
    project = 2 * (1 + patches) * d * config.output_dim if config.output_dim else 0
    head = 2 * 2 * config.feature_dim * head_classes
    return (embed + blocks + coordinates + project + head) / GIGA


def _patches(config: VecaConfig, image_size: ImageSize) -> int:
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    rows, columns = config.patch_grid(height, width)
    return rows * columns


def _projections(config: VecaConfig, tokens: int) -> int:
    return 2 * 4 * tokens * config.hidden_dim**2


def _attention(config: VecaConfig, patches: int, cores: int) -> int:
    """Cores read cores and patches, patches read cores; scores and weighted sum cost the same."""
    pairs = cores * (cores + patches) + patches * cores
    return _projections(config, cores + patches) + 2 * 2 * config.hidden_dim * pairs
