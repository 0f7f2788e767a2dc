"""Calibration of a checkpoint: learns its rounding, measures its layers, and picks a recipe within a budget."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from veca_edge.calibration.quantization.emulation import Emulation, Layer, as_layer, half_precision
from veca_edge.calibration.quantization.findings import Goal, Report, Whole
from veca_edge.calibration.quantization.losses import Evaluator
from veca_edge.calibration.quantization.rounding import learned_rounding, measure_moments
from veca_edge.calibration.quantization.selection import Key, Precisions, as_recipe, downhill, last_within
from veca_edge.calibration.quantization.sensitivity import Kind, mean_fidelity, measure_sensitivity
from veca_edge.converters.executorch.convert import ConvertOptions, convert
from veca_edge.converters.graph.folding import fold, linear_layers, quantize
from veca_edge.converters.graph.weights import Round, Weight, can_be_int4
from veca_edge.converters.recipes import Precision, QuantizationRecipe, ready_recipe
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.photos.calibration import Calibration, gflops_of
from veca_edge.runtime.machine import Machine

READY = ("int8", "int4")
SENSITIVITY_GFLOPS = 24.0  # a pass over the photos on which one layer at a time is changed
FEWEST, MOST = 4, 32  # such photos
TABLES = 32_768  # bytes for the tables that a file gets once it is verified and evaluated
TRIES = 4  # conversions until a file is small enough

Progress = Callable[[str, float], None]
SizeOf = Callable[[QuantizationRecipe, Round], int]


class Calibrator:
    """One checkpoint on one set of photos; what is measured once is kept."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        calibration: Calibration,
        budgets: Sequence[int] | None = None,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Learn the rounding.

        Args:
            checkpoint: the model.
            calibration: photos.
            budgets: core counts that count; None for the smallest and the largest.
            progress: called with a stage and how much of it is done, 0..1.

        Raises:
            VecaError: a budget that the model cannot take, or inputs that overflow.
        """
        offered = checkpoint.config.budgets
        self.budgets = tuple(dict.fromkeys((offered[0], offered[-1]))) if budgets is None else tuple(budgets)
        for cores in self.budgets:
            checkpoint.config.check_cores(cores)
        self._checkpoint, self._photos, self._progress = checkpoint, calibration, progress
        self._folded = fold(checkpoint)
        self._layers = linear_layers(self._folded)
        self._reference = Emulation.of(checkpoint.config, self._folded)
        progress("learning rounding", 0.0)
        self.round = _kept(
            learned_rounding(measure_moments(self._reference, calibration.learn.pixels, self.budgets))
        )
        progress("learning rounding", 1.0)

    def report(self, machine: Machine, goal: Goal | None = None, size_of: SizeOf | None = None) -> Report:
        """Measure layers and whole models, and choose a recipe if there is a goal.

        Args:
            machine: what this runs on.
            goal: the budget.
            size_of: bytes of a model's file; None to convert with default options.

        Raises:
            VecaError: no recipe is within the budget.
        """
        size_of = size_of or (lambda recipe, round: file_size(self._checkpoint, ConvertOptions(recipe, round)))
        variants = self._variants()
        # Before anything is measured, because that takes minutes.
        beside = 0 if goal is None or goal.max_size is None else self._beside(goal.max_size, size_of)
        evaluate = Evaluator(self._reference, self._photos.evaluate, self.budgets, self._stage("whole model"))
        report = self._measured(machine, evaluate, variants)
        if goal is None:
            return report
        self._progress("choosing", 0.0)
        lost: dict[Key, float] = {
            (layer, kind): loss for (layer, kind), loss in mean_fidelity(report.rows).items() if kind != "fp16"
        }
        steps = downhill(lost, self._sizes())
        if goal.max_size is None:
            chosen, size = self._least_size(steps, goal.max_drop or 0.0, evaluate, report.wholes), None
        else:
            chosen, size = self._least_drop(steps, goal.max_size, beside, evaluate, report.wholes, size_of)
        self._progress("choosing", 1.0)
        return replace(report, goal=goal, chosen=chosen, file_bytes=size)

    def _beside(self, limit: int, size_of: SizeOf) -> int:
        """Bytes of a file beside its weights; a VecaError if no recipe's file is within the limit."""
        self._progress("smallest file", 0.0)
        sizes = self._sizes()
        kinds: dict[str, Precision] = {}
        for layer, kind in sorted(sizes, key=lambda key: -sizes[key]):
            kinds[layer] = kind
        smallest = as_recipe(kinds)
        size = size_of(smallest, self.round)
        if size + TABLES > limit:
            least = f"{(size + TABLES) / 1e6:.2f} MB"
            raise VecaError(f"no recipe makes a file of {limit / 1e6:.2f} MB: the smallest has {least}")
        self._progress("smallest file", 1.0)
        return size - self._weight_bytes(smallest)

    def _measured(
        self, machine: Machine, evaluate: Evaluator, variants: Mapping[str, Mapping[Kind, Layer]]
    ) -> Report:
        """Single layers and the ready recipes."""
        count = int(SENSITIVITY_GFLOPS / gflops_of(self._checkpoint))
        some = self._photos.evaluate.first(min(MOST, max(FEWEST, count)))
        rows = measure_sensitivity(self._reference, variants, some, self.budgets, self._stage("layers"))
        path, config = self._checkpoint.path, self._checkpoint.config
        name = config.family if path is None else path.name
        return Report(
            model={"name": name, "digest": self._checkpoint.digest, "budgets": self.budgets},
            photos=self._photos.to_dict(),
            machine=machine,
            accuracy=evaluate.accuracy(),
            rows=rows,
            row_photos=len(some),
            wholes=tuple(self._whole(ready_recipe(name), evaluate) for name in READY),
        )

    def _least_size(
        self, steps: Sequence[Precisions], limit: float, evaluate: Evaluator, ready: Sequence[Whole]
    ) -> Whole:
        """The smallest model that loses no more than the limit."""
        tried: list[Whole] = []

        def holds(step: Precisions) -> bool:
            tried.append(self._whole(as_recipe(step), evaluate))
            return tried[-1].drop <= limit

        last_within(steps, holds)
        held = [whole for whole in (*tried, *ready) if whole.drop <= limit]
        if not held:
            raise VecaError(f"no recipe loses as little as {100 * limit:g} %")
        return min(held, key=lambda whole: (whole.weight_bytes, whole.fidelity))

    def _least_drop(
        self,
        steps: Sequence[Precisions],
        limit: int,
        beside: int,
        evaluate: Evaluator,
        ready: Sequence[Whole],
        size_of: SizeOf,
    ) -> tuple[Whole, int]:
        """The most faithful model whose file is small enough, and the file's bytes."""
        for _ in range(TRIES):
            room = limit - TABLES - beside

            def fits(step: Precisions, room: int = room) -> bool:
                return self._weight_bytes(as_recipe(step)) <= room

            step = last_within(steps[::-1], fits)
            if step is None:
                break
            small = [whole for whole in ready if whole.weight_bytes <= room]
            chosen = min((self._whole(as_recipe(step), evaluate), *small), key=lambda whole: whole.fidelity)
            size = size_of(chosen.recipe, self.round)
            if size + TABLES <= limit:
                return chosen, size
            beside = size - chosen.weight_bytes
        raise VecaError(f"no recipe was found whose file has {limit / 1e6:.2f} MB: give a little more")

    def _whole(self, recipe: QuantizationRecipe, evaluate: Evaluator) -> Whole:
        folded = quantize(self._folded, recipe, self.round)
        return Whole(recipe, folded.quantized_bytes, evaluate(Emulation.of(self._checkpoint.config, folded)))

    def _weight_bytes(self, recipe: QuantizationRecipe) -> int:
        return quantize(self._folded, recipe, self.round).quantized_bytes

    def _variants(self) -> dict[str, dict[Kind, Layer]]:
        """Every layer as each precision makes it."""
        report, found = self._stage("rounding layers"), dict[str, dict[Kind, Layer]]()
        for done, (name, weight) in enumerate(self._layers.items()):
            kinds: dict[Kind, Layer] = {"int8": as_layer(self.round(weight, "int8"), "int8")}
            if can_be_int4(weight):
                kinds["int4"] = as_layer(self.round(weight, "int4"), "int8")
            found[name] = kinds | {"fp16": half_precision(as_layer(weight))}
            report((done + 1) / len(self._layers))
        return found

    def _sizes(self) -> dict[tuple[str, Precision], int]:
        sizes: dict[tuple[str, Precision], int] = {}
        for name, weight in self._layers.items():
            sizes[name, "fp32"] = weight.stored_bytes
            sizes[name, "int8"] = self.round(weight, "int8").stored_bytes
            if can_be_int4(weight):
                sizes[name, "int4"] = self.round(weight, "int4").stored_bytes
        return sizes

    def _stage(self, name: str) -> Callable[[float], None]:
        return lambda done: self._progress(name, done)


def file_size(checkpoint: Checkpoint, options: ConvertOptions) -> int:
    """Bytes of the .pte that these options make, before its tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sized.pte"
        convert(checkpoint, path, options)
        return path.stat().st_size


def _kept(round: Round) -> Round:
    """The same, computed once per layer and precision."""
    found: dict[tuple[str, Precision], Weight] = {}

    def remembering(weight: Weight, precision: Precision) -> Weight:
        key = (weight.name, precision)
        if key not in found:
            found[key] = round(weight, precision)
        return found[key]

    return remembering
