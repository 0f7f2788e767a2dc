"""Core ML packages of ours, computed without a Mac in numpy: what `convert` and `verify` check them with.

    from veca_edge.modelfile.mlprogram.package import open_package
    from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

    outputs = Interpreter(open_package("Veca.mlpackage"), "cores_8", "fp16").run({"image": image})

Operators mean what coremltools documents for the opsets of iOS 17 and iOS 18. What our converter does not write is
refused, never guessed.
"""
