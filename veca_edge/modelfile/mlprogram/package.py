"""An `.mlpackage` folder: its manifest, the model specification, and the weight files that it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError, shown
from veca_edge.files import PACKAGE_MANIFEST as MANIFEST
from veca_edge.files import PACKAGE_SUFFIX as SUFFIX
from veca_edge.files import is_regular, is_there, shortened
from veca_edge.modelfile.mlprogram.program import Function, Stored, read_program
from veca_edge.modelfile.mlprogram.protobuf import parse_model
from veca_edge.modelfile.mlprogram.values import Array
from veca_edge.modelfile.mlprogram.weights import WeightFile

DATA = "Data"
MAX_MANIFEST = 2**20  # bytes
MAX_SPECIFICATION = 2**26  # bytes; a program with its weights in a weight file takes a few per cent of that
MODEL_PATH = "@model_path/"
# What a specification version asks of the system, as in coremltools' documentation of deployment targets.
TARGETS = {
    6: "iOS 15, macOS 12",
    7: "iOS 16, macOS 13",
    8: "iOS 17, macOS 14",
    9: "iOS 18, macOS 15",
    10: "iOS 26, macOS 26",
}


@dataclass(frozen=True)
class Feature:
    """An input or an output as an app sees it.

    Attributes:
        name: of the feature.
        kind: "image", "array", "string", "dictionary", ...
        shape: of an array, or (height, width) of an image; () otherwise.
        element: "fp32", "fp16", "int32", ... of an array, "RGB", "BGR" or "GRAYSCALE" of an image; "" otherwise.
        description: for people.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    element: str
    description: str


@dataclass(frozen=True, eq=False)
class Package:
    """An opened package. Weights stay on disk until they are read.

    Attributes:
        path: the folder.
        specification: the file in it that holds the program.
        version: of the specification; `target` says what it asks of the system.
        functions: by name.
        default_function: the one that runs if none is named.
        inputs: features by function.
        outputs: features by function.
        metadata: author, license, versionString, shortDescription, as far as they are there.
        user_metadata: what tools wrote beside it.
        weights: the weight files, by the names that the program uses.
        size: bytes of the model specification and the weight files.
    """

    path: Path
    specification: Path
    version: int
    functions: Mapping[str, Function]
    default_function: str
    inputs: Mapping[str, tuple[Feature, ...]]
    outputs: Mapping[str, tuple[Feature, ...]]
    metadata: Mapping[str, str]
    user_metadata: Mapping[str, str]
    weights: Mapping[str, WeightFile]
    size: int

    @property
    def target(self) -> str:
        """The oldest systems that open the package."""
        return TARGETS.get(self.version, f"unknown (specification version {self.version})")

    @property
    def stored(self) -> frozenset[Stored]:
        """All constants in weight files, each once, however many functions read it."""
        return frozenset().union(*(function.stored for function in self.functions.values()))

    @property
    def weight_bytes(self) -> int:
        """Bytes of all these constants."""
        return sum(stored.type.nbytes for stored in self.stored)

    @property
    def shared_bytes(self) -> int:
        """Bytes of the constants that several functions read."""
        readers = Counter(stored for function in self.functions.values() for stored in function.stored)
        return sum(stored.type.nbytes for stored, count in readers.items() if count > 1)

    @property
    def bytes_by_element(self) -> dict[str, int]:
        """Bytes of the constants by element type, the most first: in what precision the weights are stored."""
        total: Counter[str] = Counter()
        for stored in self.stored:
            total[stored.type.element] += stored.type.nbytes
        return dict(total.most_common())

    def function(self, name: str | None = None) -> Function:
        """A function by name, the default one for None.

        Raises:
            VecaError: there is none of that name.
        """
        name = self.default_function if name is None else name
        if name not in self.functions:
            raise VecaError(f"{self.path} has no function {shown(name)}: it has {', '.join(self.functions)}")
        return self.functions[name]

    def read(self, stored: Stored) -> Array:
        """A stored constant: read-only.

        Raises:
            VecaError: the weight file is damaged.
        """
        return self.weights[stored.file].read(stored.offset, stored.type)


def open_package(path: str | Path) -> Package:
    """Read and check a package: everything but the values of its weights.

    Args:
        path: the `.mlpackage` folder. It may come from anywhere: nothing outside of it is read.

    Raises:
        VecaError: missing, damaged, not a package with an ML program, or coremltools is not installed.
    """
    path = Path(path)
    if not is_there(path):
        raise VecaError(f"{path}: no such file")
    if is_regular(path):
        raise VecaError(f"{path}: a file, expected the folder of an {SUFFIX}")
    try:
        specification = _specification_path(path)
        data = _read(specification, MAX_SPECIFICATION, "the model specification")
        model = parse_model(data)
        if model.WhichOneof("Type") != "mlProgram":
            raise VecaError("not an ML program: damaged, or a model of an older kind")
        return _package(path, specification, model, len(data))
    except VecaError as error:
        raise VecaError(f"{shortened(path)}: {error}") from None


def _specification_path(path: Path) -> Path:
    """The specification's file, as the package's manifest names it."""
    text = _read(_inside(path, path, MANIFEST), MAX_MANIFEST, MANIFEST)
    try:
        manifest = parse_json(text)
        item = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (VecaError, KeyError, TypeError):
        raise VecaError(f"{MANIFEST} is damaged or names no model") from None
    return _inside(path, path / DATA, item)


def _inside(package: Path, folder: Path, name: Any) -> Path:
    """A path below `folder` that neither names nor links to a place outside of the package."""
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or any(part in ("..", "/") or not part.isprintable() or {*part} & {*"\\:"} for part in parts):
        raise VecaError(f"it names a file by an invalid path: {shown(name)}")
    target = folder.joinpath(*parts)
    try:
        if not target.resolve().is_relative_to(package.resolve()):
            raise VecaError(f"it names a file outside of the package: {shown(name)}")
    except (OSError, RuntimeError):  # a loop of links
        raise VecaError(f"it names a file that cannot be reached: {shown(name)}") from None
    return target


def _read(path: Path, most: int, what: str) -> bytes:
    """A file's bytes, if they are not too many."""
    if not is_regular(path):
        raise VecaError(f"{what} is missing")
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise VecaError(f"{what} cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise VecaError(f"{what} is larger than {most >> 20} MB")
    return data


def _package(path: Path, specification: Path, model: Any, specification_size: int) -> Package:
    functions = read_program(model.mlProgram)
    description = model.description
    described = {entry.name: entry for entry in description.functions}
    if not described and len(functions) == 1:
        described = {next(iter(functions)): description}
    default = description.defaultFunctionName or next(iter(functions))
    if default not in functions:
        raise VecaError(f"its default function {shown(default)} is not among its functions")
    stored = [constant for function in functions.values() for constant in function.stored]
    _ = [constant.type.nbytes for constant in stored]  # all of types that are known here
    names = sorted({constant.file for constant in stored})
    weights = {name: WeightFile.open(_weight_path(path, specification.parent, name)) for name in names}
    known = (name for name in described if name in functions)
    metadata = description.metadata
    texts = {key: getattr(metadata, key) for key in ("author", "license", "versionString", "shortDescription")}
    inputs, outputs = {}, {}
    for name in known:
        inputs[name] = tuple(_feature(entry) for entry in described[name].input)
        outputs[name] = tuple(_feature(entry) for entry in described[name].output)
    return Package(
        path=path,
        specification=specification,
        version=int(model.specificationVersion),
        functions=functions,
        default_function=default,
        inputs=inputs,
        outputs=outputs,
        metadata={key: _shown(text) for key, text in texts.items() if text},
        user_metadata=dict(metadata.userDefined),
        weights=weights,
        size=specification_size + sum(file.size for file in weights.values()),
    )


def _weight_path(path: Path, folder: Path, name: str) -> Path:
    """The weight file of that name; the program's names begin at the specification's folder."""
    if not name.startswith(MODEL_PATH):
        raise VecaError(f"it names a weight file by an invalid path: {shown(name)}")
    return _inside(path, folder, name.removeprefix(MODEL_PATH))


def _feature(entry: Any) -> Feature:
    kind = entry.type.WhichOneof("Type") or "nothing"
    shape: tuple[int, ...] = ()
    element = ""
    if kind == "imageType":
        image = entry.type.imageType
        shape = (int(image.height), int(image.width))
        element = _enum_name(image, "colorSpace")
    elif kind == "multiArrayType":
        array = entry.type.multiArrayType
        shape = tuple(int(side) for side in array.shape)
        element = _ELEMENTS.get(_enum_name(array, "dataType"), _enum_name(array, "dataType"))
    name = {"multiArrayType": "array"}.get(kind, kind.removesuffix("Type"))
    return Feature(_shown(entry.name), name, shape, element, _shown(entry.shortDescription))


_ELEMENTS = {"FLOAT32": "fp32", "FLOAT16": "fp16", "DOUBLE": "fp64", "INT32": "int32", "INT8": "int8"}


def _enum_name(message: Any, field: str) -> str:
    """The name of an enumeration's value; its number if it has none."""
    number = getattr(message, field)
    value = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return str(number) if value is None else str(value.name)


def _shown(text: str) -> str:
    """Text from the package without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
