"""A dense vision transformer of the same width and depth, through our own converter and runtime."""

from __future__ import annotations

from functools import cache

from veca_edge.calibration.benchmark.against.baseline import Call, Output, Rival, Source
from veca_edge.calibration.benchmark.target import Case
from veca_edge.image.patches import cut_patches
from veca_edge.runtime.engines.executorch import Program
from veca_edge.runtime.native import quiet


def rivals(source: Source) -> list[Rival]:
    """At the precision of the model file; beside mixed precisions in int8."""
    size = source.checkpoint.config.patch_size
    grids = {case.image_size: (case.fitted.shape[0] // size, case.fitted.shape[1] // size) for case in source.cases}
    with quiet():
        from veca_edge.converters.graph.dense import convert_dense, dense_method
        from veca_edge.converters.recipes import READY

    precision = source.quantization if source.quantization in READY else "int8"

    @cache
    def program() -> Program:
        path = source.folder / "dense.pte"
        return Program(convert_dense(source.checkpoint, path, READY[precision], [*grids.values()]), source.threads)

    def prepare(case: Case, cores: int) -> Call:
        method, patches = dense_method(grids[case.image_size]), cut_patches(case.fitted, size)

        def call() -> Output:
            token, features = program().run(method, [patches])
            return token[0], features

        return call

    how = f"a dense ViT in our own {precision}: one class token, all patches read all, otherwise the same layers"
    return [Rival("dense", precision, how, prepare, same_weights=False)]
