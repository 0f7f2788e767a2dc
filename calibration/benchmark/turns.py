"""The one way in which things are timed here: in turns.

All configurations take turns within a round, so that what disturbs the machine disturbs all of them. Each timed
call follows untimed ones of the same kind: that is how a stream of frames runs, and it leaves nothing of the
configuration before, be it data in the processor's caches or threads that still spin. Thread pools (OpenMP's, ONNX
Runtime's) let idle threads spin for some milliseconds before they sleep; the untimed calls last longer than that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

SETTLE = 0.025  # seconds of untimed calls before a timed one, at least one call

Call = Callable[[], object]
Key = tuple[str, int, int]  # what, cores, image size
Samples = Mapping[Key, Sequence[float]]
Advance = Callable[[], object]


def take_turns(tasks: Mapping[Key, Call], rounds: int, advance: Advance = lambda: None) -> Samples:
    """Time every task once per round, in seconds, each after untimed calls of itself.

    Every second round runs backwards, so that a slow drift of the machine favours no task.
    """
    samples: dict[Key, list[float]] = {key: [] for key in tasks}
    order = list(tasks.items())
    for index in range(rounds):
        for key, call in order if index % 2 == 0 else reversed(order):
            settle(call)
            samples[key].append(timed(call))
        advance()
    return samples


def settle(call: Call) -> None:
    """Call until nothing of what ran before is left."""
    start = perf_counter()
    call()
    while perf_counter() - start < SETTLE:
        call()


def timed(call: Call) -> float:
    """Seconds that a call takes."""
    start = perf_counter()
    call()
    return perf_counter() - start
