"""The ExecuTorch engine: a model file's program on XNNPACK."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from veca_edge.arrays import Float, Image, mean_of_rows
from veca_edge.errors import VecaError
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.modelfile.manifest import Manifest
from veca_edge.modelfile.pte import ModelFile, read_program
from veca_edge.runtime.engines.binding import input_maker, load_binding, output_reader
from veca_edge.runtime.engines.engine import Encoded
from veca_edge.runtime.engines.pool import POOL
from veca_edge.runtime.engines.weight_cache import enable_weight_cache, warn_without_cache
from veca_edge.runtime.native import quiet, release_freed_memory
from veca_edge.runtime.streaming.cache import HIDE, PatchCache, Stepped
from veca_edge.runtime.threads import check_threads

STEP_INPUTS = 5  # of `step` before the remembered keys and values


class ElasticProgram(Protocol):
    """A loaded program of ours.

    Attributes:
        loaded: the methods that have been called.
    """

    loaded: set[str]

    def check_shapes(self, manifest: Manifest) -> None:
        """Refuse a manifest that is not the program's with a VecaError."""

    def run(self, method: str, inputs: Sequence[Float]) -> list[Float]:
        """Run a method on contiguous float32 arrays; what it gives may change with the method's next call."""

    def close(self) -> None:
        """Free the program."""


class Program:
    """A loaded ExecuTorch program: methods by name, numpy in and out. Methods load at their first call.

    The bytes that are computed with are a copy in memory: whatever happens to the file changes nothing. What `run`
    returns is for one thread at a time.

    Attributes:
        loaded: the methods that have been called.
        threads: that it computes with.
    """

    def __init__(self, file: ModelFile, threads: int | None) -> None:
        """Load the program.

        Args:
            file: the model file, already checked.
            threads: worker threads of the whole process; None for those of the programs that are open, else one per
                big core.

        Raises:
            VecaError: open programs have another number of threads; the file has changed; a foreign program.
        """
        self._path, self._data = file.path, b""
        self._module: Any = None
        with POOL.turns, quiet():
            binding, self._input, self._output = load_binding(), input_maker(), output_reader()
            # Only packed weights that the cache holds are shared between methods.
            self.shares_weights = enable_weight_cache()
            with POOL.joining(self, threads, binding._unsafe_reset_threadpool) as self.threads:
                self._data = read_program(file)
                self._module = _loaded(binding, file, self._data)
        self._methods = set(file.manifest.methods)
        self.loaded: set[str] = set()
        if not self.shares_weights:
            warn_without_cache()

    def check_shapes(self, manifest: Manifest) -> None:
        """Refuse a manifest whose sizes are not those of the program.

        Raises:
            VecaError: naming the first that differs.
        """
        encode, step = (self._module.method_meta(name) for name in ("encode", "step"))
        patches, cores = encode.input_tensor_meta(0).sizes(), encode.input_tensor_meta(2).sizes()
        found = {
            "max_patches": patches[0],
            "patch_size": math.isqrt(patches[1] // 3),
            "num_cores": cores[0],
            "hidden_dim": cores[1],
            "feature_dim": encode.output_tensor_meta(0).sizes()[1],
            "num_layers": (step.num_inputs() - STEP_INPUTS) // 2,
            "num_heads": step.input_tensor_meta(STEP_INPUTS).sizes()[0],
        }
        for name, value in found.items():
            if value != getattr(manifest, name):
                raise VecaError(f"{self._path}: the manifest's {name} is not the program's ({value})")
        for most, name in (*manifest.size_buckets("encode"), *manifest.size_buckets("step")):
            if self._module.method_meta(name).input_tensor_meta(0).sizes()[0] != most:
                raise VecaError(f"{self._path}: the program's {name} is not for {most} patches")

    def run(self, method: str, inputs: Sequence[Float]) -> list[Float]:
        """Run a method on contiguous float32 arrays.

        Returns:
            float32 arrays that lie in the program's memory: they change with the method's next call.

        Raises:
            VecaError: no such method, or inputs of the wrong number or shape.
        """
        if method not in self._methods:
            raise VecaError(f"the model file has no method {method!r}: it has {', '.join(sorted(self._methods))}")
        if method in self.loaded:
            return self._call(method, inputs)
        outputs = self._call(method, inputs)
        self.loaded.add(method)
        release_freed_memory()
        return outputs

    def _call(self, method: str, inputs: Sequence[Float]) -> list[Float]:
        with POOL.turns:
            given = [self._input(array) for array in inputs]  # kept until the call ends: it reads their memory
            try:
                outputs = self._module.run_method(method, given, clone_outputs=False)
            except RuntimeError as error:
                raise VecaError(f"ExecuTorch could not run {method}: {error}") from None
            return [self._output(output) for output in outputs]

    def close(self) -> None:
        """Free the program and its packed weights."""
        self._methods = set()
        with POOL.turns:
            with quiet():
                self._module = None
            self._data = b""
            POOL.leave(self)

    def __del__(self) -> None:
        self._module = None  # before the bytes that it reads


def _loaded(binding: Any, file: ModelFile, data: bytes) -> Any:
    """ExecuTorch's module of a program, which reads `data` as long as it lives and does not keep it alive."""
    check = binding.Verification.InternalConsistency
    try:
        module = binding._load_for_executorch_from_buffer(data, program_verification=check)
        names = set(module.method_names())
    except RuntimeError as error:
        raise VecaError(f"{file.path}: ExecuTorch cannot load it: {error}") from None
    if names != set(file.manifest.methods):
        # An unknown method name crashes the runtime, so the names are settled before any is called.
        raise VecaError(f"{file.path}: the program's methods are not those of its manifest")
    return module


class ExecutorchEngine:
    """Runs `encode`, whose core count and patch count are dynamic: switching either costs nothing."""

    name = "executorch"

    def __init__(self, file: ModelFile, threads: int | None = None, program: ElasticProgram | None = None) -> None:
        """Open a model file.

        Args:
            file: the model file, already checked.
            threads: worker threads, shared by all ExecuTorch models of the process; None for those of the models
                that are open, else one per big core.
            program: the file's program, loaded by other means than ExecuTorch's Python package.

        Raises:
            VecaError: open models have another number of threads, or the file does not fit its program.
        """
        if program is None:
            program = own = Program(file, threads)
            self.threads = own.threads
        else:
            self.threads = check_threads(threads)
        self._file = file
        self._program: ElasticProgram = program
        self._program.check_shapes(file.manifest)
        self._buckets = {kind: file.manifest.size_buckets(kind) for kind in ("encode", "step")}
        self._centres: dict[tuple[int, int], Float] = {}
        # What stands for "nothing remembered": two hidden rows, since XNNPACK has no empty tensors.
        manifest = file.manifest
        shape = (manifest.num_heads, 2, manifest.hidden_dim // manifest.num_heads)
        rows = np.zeros(shape, np.float32)
        self._nothing = [np.full(2, HIDE, np.float32), *[rows] * (2 * manifest.num_layers)]

    def encode(self, image: Image, cores: int) -> Encoded:
        size = self._file.manifest.patch_size
        method = self._method("encode", image.shape[0] // size * (image.shape[1] // size))
        inputs = [cut_patches(image, size), self.positions(image.shape[0] // size, image.shape[1] // size)]
        core, features, attention = self._program.run(method, [*inputs, *self._core_tokens(cores)])
        return Encoded(core[0].copy(), features.copy(), mean_of_rows(attention))

    def step(
        self, patches: Float, positions: Float, cores: int, mask: Float | None, cache: PatchCache | None
    ) -> Stepped:
        """Compute some patches; the cores also read the remembered ones.

        Args:
            patches: float32 (n, p * p * 3), values 0..255.
            positions: float32 (n, 2), their cells' centres.
            cores: core budget.
            mask: float32 (N,), added to the attention scores of remembered rows: 0, or HIDE for a row that is
                being replaced; None without a cache.
            cache: the remembered rows, or None if there are none.
        """
        method = self._method("step", len(patches))
        remembered = self._nothing if cache is None or mask is None else [mask, *cache.rows()]
        outputs = self._program.run(method, [patches, positions, *self._core_tokens(cores), *remembered])
        core, features, attention, *new = outputs
        return Stepped(core[0].copy(), features, mean_of_rows(attention), tuple(new[0::2]), tuple(new[1::2]))

    def try_all(self, patches: Float) -> Iterator[Float]:
        """Run every method that takes any size on a few patches (n, p * p * 3): their features (n, D')."""
        inputs = [patches, self.positions(len(patches), 1), *self._core_tokens(self._file.manifest.budgets[-1])]
        for kind, more in (("encode", []), ("step", self._nothing)):
            for _, name in self._buckets[kind]:
                yield self._program.run(name, [*inputs, *more])[1]

    def positions(self, rows: int, columns: int) -> Float:
        """Centres of a grid's cells, made once per grid."""
        if (rows, columns) not in self._centres:
            self._centres[rows, columns] = cell_centres(rows, columns)
        return self._centres[rows, columns]

    def _core_tokens(self, cores: int) -> list[Float]:
        return [self._file.cores[:cores], self._file.coordinates[:cores]]

    def _method(self, kind: str, patches: int) -> str:
        """A method that takes these patches: a loaded one, else the one that reserves the least memory."""
        enough = [name for most, name in self._buckets[kind] if patches <= most]
        if enough:
            return next((name for name in enough if name in self._program.loaded), enough[0])
        raise VecaError(
            f"{patches} patches are too many, the model file takes {self._file.manifest.max_patches}: "
            "use a smaller image size, or convert with a larger --max-patches"
        )

    def close(self) -> None:
        self._program.close()
