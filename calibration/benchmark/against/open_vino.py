"""OpenVINO: the model converted from PyTorch, with its default precision, in float32, and in int8 by NNCF."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

from veca_edge.calibration.benchmark.against.baseline import Baseline, Call, Output, Source, silent
from veca_edge.calibration.benchmark.against.eager import FixedCores, normalised
from veca_edge.calibration.benchmark.against.runtimes import lacking
from veca_edge.calibration.benchmark.target import Input

Change = Callable[[Any, Input], Any]
NAMES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def baselines(source: Source) -> list[Baseline]:
    """Its default, which rounds to bfloat16 where the processor has it; float32; and two kinds of int8."""
    compiler = _Compiler(source)
    own, found = compiler.precision, []
    if own != "fp32":
        how = f"OpenVINO as users get it: on this processor it computes in {own}"
        found.append(Baseline("openvino", own, how, compiler.prepare))
    single = partial(compiler.prepare, INFERENCE_PRECISION_HINT="f32")
    found.append(Baseline("openvino", "fp32", "OpenVINO, told to compute in float32", single))
    if find_spec("nncf") is None:
        source.note(lacking("openvino int8", "nncf"))
        return found
    how = "OpenVINO, nncf.quantize for transformers on the packaged photos: weights and activations, scales fixed"
    both = partial(compiler.prepare, change=partial(_quantized, source))
    found.append(Baseline("openvino", "int8", how, both))
    how = f"OpenVINO, nncf.compress_weights: weights in int8, computed in {own}"
    found.append(Baseline("openvino", "int8 weights", how, partial(compiler.prepare, change=_compressed)))
    return found


class _Compiler:
    """Converts once per image size and core budget: exact sizes are what every optimizer likes best."""

    def __init__(self, source: Source) -> None:
        with silent():
            import openvino

        self._source, self._convert, self._core = source, openvino.convert_model, openvino.Core()
        self._model = source.checkpoint.build()
        self._converted: dict[tuple[int, int], Any] = {}

    @property
    def precision(self) -> str:
        """What it computes in unless told otherwise."""
        name = str(self._core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name())
        return NAMES.get(name, name)

    def prepare(self, given: Input, cores: int, change: Change | None = None, **config: Any) -> Call:
        images = normalised(self._source.checkpoint, given.fitted)
        wanted = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self._source.threads, **config}
        with silent():
            if (cores, given.image_size) not in self._converted:
                module = FixedCores(self._model, cores).eval()
                converted = self._convert(module, example_input=images, input=list(images.shape))
                self._converted[cores, given.image_size] = converted
            model = self._converted[cores, given.image_size].clone()
            compiled = self._core.compile_model(model if change is None else change(model, given), "CPU", wanted)
        request, inputs = compiled.create_infer_request(), [images.numpy()]

        def call() -> Output:
            found = request.infer(inputs, share_inputs=True, share_outputs=True)
            return found[0][0], found[1][0]

        return call


def _quantized(source: Source, model: Any, given: Input) -> Any:
    """Weights and activations in int8, the scales of the activations from the packaged photos."""
    import nncf

    from veca_edge.image.preprocessing import Preprocessing
    from veca_edge.photos.samples import sample_images

    preprocessing = Preprocessing.from_dict(source.checkpoint.preprocessing)
    size = source.checkpoint.config.patch_size
    photos = [preprocessing.resize(photo, size, given.image_size).image for photo in sample_images()]
    fitting = [photo for photo in photos if photo.shape == given.fitted.shape] or [given.fitted]
    pictures = nncf.Dataset([normalised(source.checkpoint, photo).numpy() for photo in fitting])
    return nncf.quantize(model, pictures, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(fitting))


def _compressed(model: Any, _: Input) -> Any:
    """Weights in int8; activations as they are."""
    import nncf

    return nncf.compress_weights(model)
