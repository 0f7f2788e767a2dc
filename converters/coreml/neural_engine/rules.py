"""What is known to keep operations off Apple's Neural Engine, or to go wrong or slow there, and who says so.

Apple publishes no list: it differs by chip, system and size (apple/coremltools #1780), and Core ML may leave an
operation to another processor although the Neural Engine could compute it. So every rule here names its source, and
what no source mentions is listed as such. Only a device has the last word: Xcode's performance report shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from veca_edge.modelfile.mlprogram.program import Operand, Operation, Reference
from veca_edge.modelfile.mlprogram.values import Array, TensorType

Effect = Literal["leaves", "wrong", "slow"]
Evidence = Literal["documented", "measured", "reported"]

MAX_RANK = 4
MAX_SIDE = 16384
MAX_KERNEL = 13
ALIGNMENT = 64  # bytes of a last axis
WASTE = 2**20  # bytes of padding in one tensor that are worth a word
STATE_STEP = 32


@dataclass(frozen=True)
class Site:
    """An operation with what its function says about its operands.

    Attributes:
        operation: the operation.
        types: of all tensors of the function by name.
        constants: values of the function's constants by name, as far as they are written in the program itself.
    """

    operation: Operation
    types: Mapping[str, TensorType]
    constants: Mapping[str, Array]

    @property
    def results(self) -> Iterator[TensorType]:
        """The tensors that it makes."""
        return (variable.type for variable in self.operation.outputs if variable.type is not None)

    @property
    def tensors(self) -> Iterator[TensorType]:
        """The tensors that it reads or makes."""
        read = (self.types.get(o.name) for o in self.operation.operands if isinstance(o, Reference))
        yield from (tensor for tensor in read if tensor is not None)
        yield from self.results

    def value(self, parameter: str) -> list[float]:
        """A parameter's numbers, the first 16; [] if it has none, or they are not constant."""
        for operand in self.operation.inputs.get(parameter, ()):
            found = self.constants.get(operand.name) if isinstance(operand, Reference) else operand
            if isinstance(found, np.ndarray) and found.dtype.kind in "iuf":
                return [float(number) for number in found.reshape(-1)[:16]]
        return []

    def shape(self, parameter: str) -> tuple[int, ...]:
        """The shape of a parameter's tensor; () if it is not known."""
        for operand in self.operation.inputs.get(parameter, ()):
            tensor = self.types.get(operand.name) if isinstance(operand, Reference) else _type(operand)
            return () if tensor is None else tensor.shape
        return ()


@dataclass(frozen=True)
class Rule:
    """One known limitation.

    Attributes:
        name: of what is found, a few words.
        kinds: of operations that it speaks of; () for all.
        evidence: "documented" by Apple or a maintainer of its tools, "measured" by somebody who published how (a
            compute plan, a compiler's answer), or "reported" by a user.
        reason: a sentence.
        sources: titles, or a repository with the number of the issue or the file.
        holds: whether it is true of an operation of these kinds.
        effect: the operation "leaves" the Neural Engine, or goes "wrong" or "slow" there.
    """

    name: str
    kinds: tuple[str, ...]
    evidence: Evidence
    reason: str
    sources: tuple[str, ...]
    holds: Callable[[Site], bool] = lambda site: True
    effect: Effect = "leaves"


def _type(operand: Operand) -> TensorType | None:
    """The type of an operand that is no variable; an array's element type does not matter here."""
    if isinstance(operand, Reference):
        return None
    return TensorType("", operand.shape) if isinstance(operand, np.ndarray) else operand.type


# -- what rules ask ------------------------------------------------------------------------------------------------


def _rank(more_than: int, at_most: int) -> Callable[[Site], bool]:
    return lambda site: any(more_than < len(tensor.shape) <= at_most for tensor in site.results)


def _computes_in_float32(site: Site) -> bool:
    return any(tensor.element == "fp32" for tensor in site.results)


def _open_shape(site: Site) -> bool:
    return any(side < 0 for tensor in site.tensors for side in tensor.shape)


def _open_first_input(site: Site) -> bool:
    return any(side < 0 for side in site.shape("x"))


def _long_side(site: Site) -> bool:
    return any(side > MAX_SIDE for tensor in site.results for side in tensor.shape)


def _large_kernel(site: Site) -> bool:
    sides = site.value("kernel_sizes") or site.shape("weight")[2:]
    return any(side > MAX_KERNEL for side in sides)


def _larger_than(parameters: tuple[str, ...], most: float) -> Callable[[Site], bool]:
    return lambda site: any(number > most for name in parameters for number in site.value(name))


def _blocks_within_rows(site: Site) -> bool:
    return any(blocks > 1 for blocks in site.shape("scale")[1:])


def _padded_last_axis(site: Site) -> bool:
    """Whether a last axis of one element is stretched over 64 bytes, and that costs more than a little."""
    singles = (tensor.shape for tensor in site.results if len(tensor.shape) > 1 and tensor.shape[-1] == 1)
    return any(math.prod(shape) * (ALIGNMENT - 2) > WASTE for shape in singles)


def _odd_state(site: Site) -> bool:
    return any(tensor.shape[-1] % STATE_STEP for tensor in site.results if tensor.shape)


# -- what is known -------------------------------------------------------------------------------------------------

SURVEY = "hollance/neural-engine docs/unsupported-layers.md"

RULES: tuple[Rule, ...] = (
    Rule(
        "float32",
        (),
        "documented",
        "Operations typed float32 run on the CPU or the GPU: only float16 is eligible for the Neural Engine.",
        ("Core ML Tools guide, Typed Execution Workflow Example", "hollance/neural-engine docs/16-bit.md"),
        holds=lambda site: site.operation.kind not in ("cast", "identity") and _computes_in_float32(site),
    ),
    Rule(
        "open shape",
        (),
        "documented",
        "With a range of input sizes only the default size runs on the Neural Engine.",
        ("Apple Developer Forums 724930", "apple/coremltools #1764", "apple/coremltools #2370"),
        holds=_open_shape,
    ),
    Rule(
        "layer_norm of an open shape",
        ("layer_norm",),
        "reported",
        "A layer_norm in a model with enumerated sizes kept all of it off the Neural Engine.",
        ("apple/coremltools #1909",),
        holds=_open_first_input,
    ),
    Rule(
        "rank above 5",
        (),
        "documented",
        "Core ML takes tensors of at most five dimensions ('ANE does not support blob with rank: 6').",
        ("apple/coremltools #1723", "microsoft/onnxruntime #14212"),
        holds=_rank(MAX_RANK + 1, 2**31),
    ),
    Rule(
        "rank 5",
        (),
        "measured",
        "Graphs with tensors of five dimensions failed in the compiler for the Neural Engine; with four they ran.",
        ("FluidInference/FluidAudio #679", "FluidInference/FluidAudio Documentation/ANE_Profiler.md"),
        holds=_rank(MAX_RANK, MAX_RANK + 1),
    ),
    Rule(
        "long side",
        (),
        "measured",
        f"A side of more than {MAX_SIDE} elements fails in the compiler for the Neural Engine.",
        ("ncdrone/rustane #13", "microsoft/onnxruntime #19543"),
        holds=_long_side,
    ),
    Rule(
        "recurrent layer",
        ("gru", "lstm", "rnn"),
        "documented",
        "Recurrent layers have no form on the Neural Engine.",
        ("apple/coremltools #1780", SURVEY, "FluidInference/FluidAudio Documentation/ANE_Profiler.md"),
    ),
    Rule(
        "custom layer",
        ("custom_layer",),
        "documented",
        "Custom operations have code for the CPU or the GPU only.",
        ("apple/coremltools #1278", SURVEY),
    ),
    Rule(
        "gather",
        ("gather", "gather_along_axis", "gather_nd"),
        "measured",
        "Compute plans place it on the CPU.",
        ("roboflow/rf-detr #1495", "apple/coremltools #1103", SURVEY),
    ),
    Rule(
        "topk",
        ("topk",),
        "measured",
        "Compute plans place it on the CPU, and what reads its indices too.",
        ("roboflow/rf-detr #1495",),
    ),
    Rule(
        "resample",
        ("resample",),
        "reported",
        "Sampling at given points ran on the CPU.",
        ("apple/coremltools #1875",),
    ),
    Rule(
        "dilated convolution",
        ("conv", "conv_transpose"),
        "reported",
        "Dilated convolutions left the Neural Engine of 2020.",
        (SURVEY,),
        holds=_larger_than(("dilations",), 1),
    ),
    Rule(
        "large kernel",
        ("conv", "conv_transpose", "avg_pool", "max_pool"),
        "reported",
        f"Kernels of more than {MAX_KERNEL} by {MAX_KERNEL} were refused in 2020 and 2021. A newer compute plan of "
        "a vision transformer (M3 Pro) names no convolution among what left.",
        ("hollance/neural-engine #1 and #2", "ultralytics/yolov5 #2526", "the newer one: roboflow/rf-detr #1495"),
        holds=_large_kernel,
    ),
    Rule(
        "pooling stride",
        ("avg_pool", "max_pool"),
        "reported",
        "Pooling with a stride of more than 2 was refused in 2020.",
        ("hollance/neural-engine #2", SURVEY),
        holds=_larger_than(("strides",), 2),
    ),
    Rule(
        "upsampling",
        ("upsample_bilinear", "upsample_nearest_neighbor"),
        "reported",
        "Upsampling by more than 2 was refused in 2020.",
        ("hollance/neural-engine #2", SURVEY),
        holds=_larger_than(("scale_factor_height", "scale_factor_width"), 2),
    ),
    Rule(
        "width of a state",
        ("read_state",),
        "reported",
        f"States whose last side is not a multiple of {STATE_STEP} fail there.",
        ("apple/coremltools #2631",),
        holds=_odd_state,
    ),
    Rule(
        "softplus",
        ("softplus", "softplus_parametric"),
        "measured",
        "Its exponential overflows float16 there: above 10.4 the result drops to 0.",
        ("apple/coremltools #2687",),
        effect="wrong",
    ),
    Rule(
        "reduce_log_sum_exp",
        ("reduce_log_sum_exp",),
        "measured",
        "It sums exponentials in float16 there without subtracting the largest, and drops to 0.",
        ("apple/coremltools #2690",),
        effect="wrong",
    ),
    Rule(
        "scales per block",
        ("constexpr_blockwise_shift_scale",),
        "documented",
        "Scales per block pay on the GPU; for the Neural Engine one scale per row is recommended.",
        ("Core ML Tools guide, Linear Quantization, Performance",),
        holds=_blocks_within_rows,
        effect="slow",
    ),
    Rule(
        "single last axis",
        (),
        "documented",
        f"A last axis of one element is padded to {ALIGNMENT} bytes: 32 times the memory in float16.",
        ("Apple, Deploying Transformers on the Apple Neural Engine",),
        holds=_padded_last_axis,
        effect="slow",
    ),
)

# Kinds of operations that somebody saw on the Neural Engine, and where they say so.
SEEN: Mapping[str, str] = {
    "scaled_dot_product_attention": "vx-lang/Vx #437 (float16 and large enough)",
    **dict.fromkeys(("add", "linear", "relu"), "FluidInference/FluidAudio Documentation/ANE_Profiler.md"),
    **dict.fromkeys(("layer_norm", "matmul"), "apple/coremltools #1909 (sizes fixed)"),
    "conv": "argmaxinc/whisperkittools #42",
    **dict.fromkeys(("mul", "reduce_mean", "rsqrt"), "0seba/VoxCPMANE #15"),
}
