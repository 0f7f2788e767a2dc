"""The processes that train together, one per device; torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from veca_edge.errors import VecaError
from veca_edge.training.settings import Recipe

Autocast = Callable[[], AbstractContextManager[None]]  # makes contexts of the precision to compute in
PATIENCE = timedelta(hours=6)  # the others wait while the first process prepares a teacher


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; the first one writes files and reports.
        size: number of processes.
        device: where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This process's part of a batch; a VecaError unless all parts have the same size."""
        if count % self.size:
            raise VecaError(
                f"batch_size {count} cannot be divided among {self.size} processes: use a multiple of {self.size}"
            )
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are averaged over all processes."""
        if self.size == 1:
            return module
        # Core tokens beyond the budget of a step have no gradient.
        return nn.parallel.DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=True)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        return self.sum(values) / self.size

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.size > 1:
            values = values.clone()
            torch.distributed.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; all must call this at the same time."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0)

    def agreed(self, count: int) -> int:
        """What the first process says."""
        if self.size == 1:
            return count
        return int(self.sum(torch.tensor(float(count * self.first), dtype=torch.float64, device=self.device)))

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.size > 1:
            torch.distributed.barrier()


def hold_gradients(module: nn.Module, hold: bool) -> AbstractContextManager[None]:
    """A context in which gradients of a parallel module add up in this process and are not averaged yet."""
    if hold and isinstance(module, nn.parallel.DistributedDataParallel):
        context: AbstractContextManager[None] = module.no_sync()
        return context
    return nullcontext()


def autocast_for(recipe: Recipe, device: torch.device) -> Autocast:
    """Makes contexts that compute in the recipe's precision."""
    half = recipe.precision == "bf16" or (recipe.precision == "auto" and device.type == "cuda")

    @contextmanager
    def precision() -> Iterator[None]:
        # On a CPU the gradient of fused attention takes longer than that of plain matrix products.
        plain = sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()
        with torch.autocast(device.type, torch.bfloat16, enabled=half), plain:
            yield

    return precision


@contextmanager
def joined_world(device: str = "auto") -> Iterator[World]:
    """Join the processes that torchrun started; without torchrun this process is the only one.

    Args:
        device: "auto" for a GPU where there is one, or a name such as "cpu" or "cuda:1".

    Raises:
        VecaError: no such device.
    """
    size, rank, local = (
        int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0))
    )
    chosen = _device(device, local)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
        # TensorFloat-32 is precise enough for training, and many times as fast as float32.
        torch.set_float32_matmul_precision("high")
    if size == 1:
        yield World(0, 1, chosen)
        return
    torch.distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(rank, size, chosen)
    finally:
        torch.distributed.destroy_process_group()


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        name = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # which the device called meta cannot
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise VecaError(f"device {name} cannot be used ({reason}): give cpu, cuda, cuda:1 or auto") from None
    return device
