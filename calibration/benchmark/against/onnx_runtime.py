"""ONNX Runtime: the model exported by PyTorch, as it is and in ONNX Runtime's own int8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from veca_edge.calibration.benchmark.against.baseline import Baseline, Call, Output, Source, silent
from veca_edge.calibration.benchmark.against.eager import FixedCores, normalised
from veca_edge.calibration.benchmark.target import Input
from veca_edge.errors import VecaError

ERRORS_ONLY = 3  # of ONNX Runtime's log levels


def baselines(source: Source) -> list[Baseline]:
    """In float32, and quantized as ONNX Runtime recommends for transformers."""
    int8 = (
        "ONNX Runtime, quant_pre_process and quantize_dynamic: the layers' products in int8, activations by tensor "
        "while it runs; not the patch convolution, for which its int8 kernel is slow"
    )
    exporter = _Exporter(source)
    return [
        Baseline("onnxruntime", "fp32", "ONNX Runtime with its defaults, exported by PyTorch", exporter.plain),
        Baseline("onnxruntime", "int8", int8, exporter.quantized),
    ]


class _Exporter:
    """Exports once per image size and core budget: exact sizes are what every optimizer likes best."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._model = source.checkpoint.build()

    def plain(self, given: Input, cores: int) -> Call:
        return self._session(self._exported(given, cores), given)

    def quantized(self, given: Input, cores: int) -> Call:
        with silent():
            from onnxruntime.quantization import quantize_dynamic
            from onnxruntime.quantization.shape_inference import quant_pre_process

        exported = self._exported(given, cores)
        prepared, path = exported.with_suffix(".prepared.onnx"), exported.with_suffix(".int8.onnx")
        with silent():
            # The sizes are all known, so the symbolic inference has nothing to add.
            quant_pre_process(exported, prepared, skip_symbolic_shape=True)
            quantize_dynamic(prepared, path, op_types_to_quantize=["MatMul"])
        return self._session(path, given)

    def _exported(self, given: Input, cores: int) -> Path:
        height, width = given.fitted.shape[:2]
        path = self._source.folder / f"{cores}-{height}x{width}.onnx"
        if path.exists():
            return path
        module = FixedCores(self._model, cores).eval()
        images = normalised(self._source.checkpoint, given.fitted)
        with silent():
            try:
                torch.onnx.export(
                    module, (images,), path, dynamo=True, external_data=False, input_names=["image"], verbose=False
                )
            except Exception as error:  # whatever the exporter and its packages raise
                raise VecaError(f"cannot export to ONNX: {str(error).splitlines()[0]}") from error
        return path

    def _session(self, path: Path, given: Input) -> Call:
        import onnxruntime

        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._source.threads
        options.log_severity_level = ERRORS_ONLY
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = {"image": normalised(self._source.checkpoint, given.fitted).numpy()}

        def call() -> Output:
            embedding, features = session.run(None, inputs)
            return embedding[0], features[0]

        return call
