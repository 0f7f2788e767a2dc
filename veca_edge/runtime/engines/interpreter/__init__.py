"""Core ML packages (`.mlpackage` with an ML program) read and computed without a Mac, in numpy.

    from veca_edge.runtime.mlprogram import Interpreter, open_package

    package = open_package("model.mlpackage")
    print(package.functions["main"].operation_counts)
    outputs = Interpreter(package, precision="fp16").run({"image": image})

The format is that of coremltools' protobuf files (`Model.proto`, `MIL.proto`) and its weight file; operators mean
what coremltools documents for the opsets of iOS 17 and iOS 18. What is not known here is refused, never guessed.
"""
