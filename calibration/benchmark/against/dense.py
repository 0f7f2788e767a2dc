"""A dense vision transformer with a VECA checkpoint's weights, to show what attention through cores saves.

Class token and patches all attend to each other, as in an ordinary vision transformer; width, depth, heads, rotary
positions, MLP, rounding and XNNPACK nodes are those of the elastic graph. The class token is the first core, at the
image's centre. Nobody trained these weights for it, so what it computes means nothing: it is there to be timed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from veca_edge._version import __version__
from veca_edge.calibration.benchmark.against.baseline import Baseline, Call, Output, Source
from veca_edge.calibration.benchmark.target import Input
from veca_edge.converters.description import model_facts
from veca_edge.converters.executorch.coverage import check_coverage
from veca_edge.converters.executorch.program import Method, assemble
from veca_edge.converters.executorch.xnnpack import ConstantStore, GraphBuilder, Value
from veca_edge.converters.graph.elastic import ElasticGraph, Stream
from veca_edge.converters.graph.folding import FoldedBlock, fold, quantize
from veca_edge.converters.recipes import READY, QuantizationRecipe
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import ModelFile, write_model_file
from veca_edge.runtime.engines.executorch import Program

Grid = tuple[int, int]  # rows, columns of patches


def baselines(source: Source) -> list[Baseline]:
    """At the precision of the model file; beside mixed precisions in int8."""
    size = source.checkpoint.config.patch_size
    grids = {
        given.image_size: (given.fitted.shape[0] // size, given.fitted.shape[1] // size) for given in source.inputs
    }
    precision = source.quantization if source.quantization in READY else "int8"

    @cache
    def program() -> Program:
        path = source.folder / "dense.pte"
        return Program(convert_dense(source.checkpoint, path, READY[precision], [*grids.values()]), source.threads)

    def prepare(given: Input, cores: int) -> Call:
        method, patches = dense_method(grids[given.image_size]), cut_patches(given.fitted, size)

        def call() -> Output:
            token, features = program().run(method, [patches])
            return token[0], features

        return call

    how = f"a dense ViT in our own {precision}: one class token, all patches read all, otherwise the same layers"
    return [Baseline("dense", precision, how, prepare, same_weights=False)]


def dense_method(grid: Grid) -> str:
    """The name of the method for images of so many patches."""
    return f"dense_{grid[0]}x{grid[1]}"


def convert_dense(
    checkpoint: Checkpoint, output: Path, recipe: QuantizationRecipe, grids: Sequence[Grid]
) -> ModelFile:
    """Write a dense transformer as an ExecuTorch file with one method per grid, each one XNNPACK delegate.

    Args:
        checkpoint: its weights are taken; coordinate heads and all cores but the first are left out.
        output: the file to write.
        recipe: which precision each layer gets, as for the elastic model.
        grids: (rows, columns) of patches of the images that it takes.

    Raises:
        VecaError: a recipe that does not fit, or a file that cannot be written.
    """
    folded, store = quantize(fold(checkpoint), recipe), ConstantStore()
    methods = {
        dense_method(grid): Method(DenseGraph(checkpoint.config, folded, store).dense(*grid)) for grid in grids
    }
    program = assemble(methods, store)
    check_coverage(program, set(methods))
    manifest = Manifest(
        **model_facts(checkpoint, checkpoint.preprocessing["image_size"]),
        target="executorch",
        quantization=recipe.name,
        budgets=(1,),
        max_patches=max(rows * columns for rows, columns in grids),
        labels=(),
        methods=tuple(methods),
        program_size=len(program),
        program_digest=hashlib.sha256(program).hexdigest(),
        weight_bytes=folded.quantized_bytes,
        made_with={"veca-edge": __version__, "executorch": version("executorch")},
        verification={},
    )
    file = ModelFile(output, manifest, folded.core_tokens[:1], folded.coordinates[:1], None)
    write_model_file(file, program)
    return file


class DenseGraph(ElasticGraph):
    """The same parts in one stream; one instance per method."""

    def dense(self, rows: int, columns: int) -> GraphBuilder:
        """An image's patches (rows * columns, p * p * 3) -> class token (1, D'), features (rows * columns, D')."""
        g, count = self.graph, rows * columns
        patches = g.input((count, 3 * self._config.patch_size**2))
        token = g.constant("class_token", self._model.core_tokens[:1])
        centres = np.concatenate([np.zeros((1, 2), np.float32), cell_centres(rows, columns)])
        rotation = self._rotation(g.constant(f"centres_{rows}x{columns}", centres))
        stream = Stream(g.concat([token, self._embed(patches)], 0), *rotation)
        for block in self._model.blocks:
            stream = replace(stream, tokens=self._dense_block(stream, block))
        tokens = self._finish(stream.tokens)
        g.output(g.slice(tokens, 0, 0, 1))
        g.output(g.slice(tokens, 0, 1, count))
        return g

    def _dense_block(self, stream: Stream, block: FoldedBlock) -> Value:
        """Pre-norm attention of everything to everything, then the gated MLP: the new tokens (rows, D)."""
        g, tokens = self.graph, stream.tokens
        normed = self._normalise(tokens)
        even, odd, value = (g.linear(normed, weight) for weight in (block.even, block.odd, block.value))
        heads = self._rotated(stream, even, odd, value)
        attended, _ = self._attend(heads.query, heads)
        tokens = g.add(tokens, g.linear(attended, block.out))
        normed = self._normalise(tokens)
        gate, up = (g.linear(normed, weight) for weight in (block.gate, block.up))
        return g.add(tokens, g.linear(g.mul(g.mul(gate, g.sigmoid(gate)), up), block.down))
