"""The eager PyTorch engine: runs a checkpoint as it is, in float32. Slow; the reference for everything else."""

from __future__ import annotations

from typing import Any

from veca_edge.arrays import Float, Image
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.runtime.engines.engine import Encoded
from veca_edge.runtime.threads import check_threads


class TorchEngine:
    """Runs a checkpoint in PyTorch on the processor."""

    name = "torch"

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        """Build the model.

        Args:
            checkpoint: a checked checkpoint.
            threads: PyTorch's threads, shared by the whole process; None for the number of big cores.
        """
        import torch

        self.threads = check_threads(threads)
        torch.set_num_threads(self.threads)
        self._torch = torch
        self._model = checkpoint.build()
        preprocessing = checkpoint.preprocessing
        self._mean = torch.tensor(preprocessing["mean"])[:, None, None]
        self._std = torch.tensor(preprocessing["std"])[:, None, None]
        self._last_block: list[Any] = []
        self._model.blocks[-1].attn.register_forward_pre_hook(self._remember)

    def encode(self, image: Image, cores: int) -> Encoded:
        torch = self._torch
        with torch.inference_mode():
            pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
            output = self._model(((pixels - self._mean) / self._std)[None], cores)
            core_attention = self._core_attention()
        return Encoded(output.embedding[0].numpy(), output.features[0].numpy(), core_attention)

    def _remember(self, _: Any, inputs: tuple[Any, ...]) -> None:
        self._last_block = [*inputs]

    def _core_attention(self) -> Float:
        """The last block's attention of patches to cores, recomputed: fused attention does not return it."""
        from veca_edge.model.rope import rotate_pairs

        x, angles, cores = self._last_block
        attention = self._model.blocks[-1].attn
        query = rotate_pairs(attention._split(attention.q_proj(x[:, cores:])), angles[:, cores:])
        key = rotate_pairs(attention._split(attention.k_proj(x[:, :cores])), angles[:, :cores])
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights: Float = scores.softmax(-1).mean(1)[0].numpy()
        return weights

    def close(self) -> None:
        self._last_block = []
