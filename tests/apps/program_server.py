"""Runs a model file's program for the Kotlin tests: ExecuTorch has no Java binding outside of Android.

    python program_server.py model.pte

A message, either way, is its length (4 bytes, big-endian), a JSON text, and the numbers that the text announces:
float32, little-endian. It ends with its input.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError
from veca_edge.modelfile.pte import read_model_file
from veca_edge.runtime.engines.executorch import Program

Float = NDArray[np.float32]


def answer(out: BinaryIO, facts: dict[str, Any], arrays: Sequence[Float] = ()) -> None:
    text = json.dumps(facts).encode()
    out.write(struct.pack(">i", len(text)) + text)
    for array in arrays:
        out.write(np.ascontiguousarray(array, "<f4").tobytes())
    out.flush()


def serve(program: Program, methods: Sequence[str], given: BinaryIO, out: BinaryIO) -> None:
    answer(out, {"methods": list(methods)})
    while head := given.read(4):
        request = json.loads(given.read(*struct.unpack(">i", head)))
        tensors = [
            np.frombuffer(given.read(4 * math.prod(shape)), "<f4").reshape(shape).copy()
            for shape in ([int(size) for size in shape] for shape in request["shapes"])
        ]
        try:
            outputs = program.run(request["method"], tensors)
        except VecaError as error:
            answer(out, {"error": str(error)})
        else:
            answer(out, {"sizes": [output.size for output in outputs]}, outputs)


if __name__ == "__main__":
    file = read_model_file(sys.argv[1])
    serve(Program(file, threads=1), file.manifest.methods, sys.stdin.buffer, sys.stdout.buffer)
