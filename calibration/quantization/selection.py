"""A recipe within a budget: layers give up bits in the order of what that costs, and the whole is measured.

Single losses do not add up to the loss of the whole, so they only say in which order to go. Where to stop is found
by measuring whole models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from veca_edge.converters.recipes import Precision, QuantizationRecipe

Precisions = Mapping[str, Precision]
Key = tuple[str, Precision]


@dataclass(frozen=True)
class _Point:
    """One precision of a layer: its bytes and what the model loses by it."""

    precision: Precision
    bytes: int
    loss: float


@dataclass(frozen=True)
class _Move:
    """A layer's change to fewer bytes, and what it costs per byte."""

    layer: str
    precision: Precision
    cost: float


def downhill(losses: Mapping[Key, float], sizes: Mapping[Key, int]) -> tuple[Precisions, ...]:
    """Every step from all layers in fp32 to all of them as small as they get.

    Each step is the move that costs least per byte it saves. A precision that lies above the line between a larger
    and a smaller one, or that another one beats in both, is never taken.

    Args:
        losses: by layer and precision, without fp32.
        sizes: bytes by layer and precision, with fp32.

    Returns:
        Precisions of all layers, step by step; the first has the most bytes, the last the fewest.
    """
    layers = list(dict.fromkeys(layer for layer, _ in sizes))
    current: dict[str, Precision] = dict.fromkeys(layers, "fp32")
    steps: list[Precisions] = [dict(current)]
    moves = [move for layer in layers for move in _moves(layer, _points(layer, losses, sizes))]
    # A layer's own moves have rising costs, and sorting is stable: they stay in order.
    for move in sorted(moves, key=lambda move: move.cost):
        current[move.layer] = move.precision
        steps.append(dict(current))
    return tuple(steps)


def _points(layer: str, losses: Mapping[Key, float], sizes: Mapping[Key, int]) -> list[_Point]:
    of_layer = {kind: size for (name, kind), size in sizes.items() if name == layer}
    found = [_Point(kind, size, losses.get((layer, kind), 0.0)) for kind, size in of_layer.items()]
    return sorted(found, key=lambda point: (-point.bytes, point.loss))


def _moves(layer: str, points: Sequence[_Point]) -> list[_Move]:
    """The lower hull from the most bytes to the fewest."""
    moves, here = [], points[0]
    while smaller := [point for point in points if point.bytes < here.bytes]:
        costs = [((point.loss - here.loss) / (here.bytes - point.bytes), point.bytes, point) for point in smaller]
        cost, _, here = min(costs, key=lambda item: item[:2])
        moves.append(_Move(layer, here.precision, cost))
    return moves


def last_within(steps: Sequence[Precisions], holds: Callable[[Precisions], bool]) -> Precisions | None:
    """The last step that holds, by halving: exact where all steps up to some point hold and none after it.

    Args:
        steps: what `downhill` found, or that from its end.
        holds: measures a whole model.

    Returns:
        A step that was measured and held, or None if not even the first does.
    """
    if not holds(steps[0]):
        return None
    low, high = 0, len(steps)  # steps[low] holds; steps[high] does not, or is past the end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(steps[middle]) else (low, middle)
    return steps[low]


def as_recipe(precisions: Precisions) -> QuantizationRecipe:
    """The recipe that says this: by the most frequent precision, and the layers that differ from it."""
    kinds = list(precisions.values())
    default = max(dict.fromkeys(kinds), key=kinds.count)
    different = {layer: kind for layer, kind in precisions.items() if kind != default}
    return QuantizationRecipe("mixed" if different else default, default, different)
