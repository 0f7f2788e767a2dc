"""What a model file says about itself, as plain values that need neither torch nor an engine to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError, shown
from veca_edge.image.preprocessing import MAX_IMAGE_SIZE, Preprocessing
from veca_edge.modelfile.certainty import DEFAULT_CERTAINTY, Certainty
from veca_edge.modelfile.heads import DenseTask, read_tasks
from veca_edge.modelfile.means import Means

FORMAT = "veca-edge model"
FORMAT_VERSION = 1
DEFAULT_MAX_PATCHES = 1024
# Generous upper bounds of a model's sizes: a file that claims more is damaged or hostile, and must not cost memory
# to refuse.
LIMITS = {
    "hidden_dim": 16384,
    "num_heads": 1024,
    "num_layers": 256,
    "ffn_dim": 131072,
    "patch_size": 128,
    "num_cores": 8192,
    "chunk_size": 8192,
    "output_dim": 65536,
}
_LIMITS = LIMITS | {"feature_dim": LIMITS["output_dim"], "image_size": MAX_IMAGE_SIZE, "max_patches": 2**24}
_BYTES = 2**40  # of a program, or its weights


def elastic_method(kind: str, patches: int, max_patches: int) -> str:
    """The name of the method "encode" or "step" that reserves its outputs for this many patches."""
    return kind if patches == max_patches else f"{kind}_{patches}"


@dataclass(frozen=True)
class Manifest:
    """Sizes, settings and origin of a model file.

    Attributes:
        name: for people; the checkpoint's file name without its ending.
        target: "executorch", or "coreml" (a package).
        quantization: "int8", "int4", "fp32" or the name of a recipe; for Core ML also "fp16", "palette6" or
            "palette4".
        family: "small", "splus", "base", "large" or "custom".
        hidden_dim: width D of a token.
        feature_dim: width D' of the embedding and of the patch features.
        num_heads, num_layers, patch_size, num_cores, chunk_size: as in the checkpoint.
        budgets: core counts the file was made for, ascending.
        image_size: side in pixels of the image that the methods `cores_8` ... take.
        max_patches: most patches that `encode` and `step` take at once.
        preprocessing: from an image of any size to the model's input.
        labels: names of the head's classes, () without a head.
        methods: the program's methods.
        program_size: bytes of the program at the start of the file; of a package, its weight file.
        program_digest: SHA-256 of those bytes, hexadecimal.
        weight_bytes: of them, the weights (each stored once).
        source_digest: SHA-256 of the checkpoint, hexadecimal.
        made_with: versions of the packages that wrote the file.
        verification: the comparison with the checkpoint that the file passed, or {} before it.
        quality: what each operating point keeps of the best one's results, as `QualityTable.to_dict` writes it,
            with "about" saying what it was measured on; {} if it was not measured.
        precision: "int8", "int4" or "fp32" of "default", and of each linear layer that differs from it, by name;
            {} in older files, and where `quantization` says it all.
        heads: the dense heads by name, each as `DenseTask.to_dict` writes it; {} in older files.
        certainty: how sure the model must be of a label before that is shown; the default in older files.
        means: what photos have in common, for `Gallery`; None in older files.
        specification_digest: of a package: SHA-256 of its model specification with zeros in place of this digest,
            hexadecimal; "" in older packages, and of files, whose program is one with its weights.
    """

    name: str
    target: str
    quantization: str
    family: str
    hidden_dim: int
    feature_dim: int
    num_heads: int
    num_layers: int
    patch_size: int
    num_cores: int
    chunk_size: int
    budgets: tuple[int, ...]
    image_size: int
    max_patches: int
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    methods: tuple[str, ...]
    program_size: int
    program_digest: str
    weight_bytes: int
    source_digest: str
    made_with: Mapping[str, str]
    verification: Mapping[str, Any]
    quality: Mapping[str, Any] = field(default_factory=dict)
    precision: Mapping[str, Any] = field(default_factory=dict)
    heads: Mapping[str, Any] = field(default_factory=dict)
    certainty: Certainty = DEFAULT_CERTAINTY
    means: Means | None = None
    specification_digest: str = ""

    @property
    def tasks(self) -> tuple[DenseTask, ...]:
        """The dense heads, by name."""
        return read_tasks(self.heads)

    def summary(self) -> dict[str, Any]:
        """JSON values for people to read: all but the specification's digest; of the verification how it ended."""
        values: dict[str, Any] = json.loads(self.to_json())
        values.pop("specification_digest", None)
        if self.means is not None:
            values["means"] = {"photos": self.means.photos}
        verification = values.pop("verification")
        values["verification"] = {
            k: verification[k] for k in ("passed", "tolerance", "images") if k in verification
        }
        return values

    def to_json(self) -> str:
        """The manifest as stored in a model file."""
        values = asdict(self) | {"preprocessing": self.preprocessing.to_dict()}
        values["means"] = None if self.means is None else self.means.to_dict()
        if not self.specification_digest:
            del values["specification_digest"]
        return json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION} | values, indent=1)

    def size_buckets(self, kind: str) -> tuple[tuple[int, str], ...]:
        """The methods "encode" or "step" as (most patches, name), ascending; the last takes `max_patches`."""
        found = (name.removeprefix(f"{kind}_") for name in self.methods if name.startswith(f"{kind}_"))
        smaller = sorted(int(text) for text in found if text.isdecimal() and 0 < int(text) < self.max_patches)
        return tuple((n, elastic_method(kind, n, self.max_patches)) for n in (*smaller, self.max_patches))

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest.

        Raises:
            VecaError: not a manifest, of a newer format, or with a value missing or of the wrong kind.
        """
        try:
            values = parse_json(text)
        except VecaError as error:
            raise VecaError(f"the manifest {error}") from None
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise VecaError("the manifest is not of veca-edge")
        version = values.pop("format_version", None)
        if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
            raise VecaError(
                f"the file has format {shown(version)}, this veca-edge reads up to {FORMAT_VERSION}: update "
                "veca-edge"
            )
        values = {
            "quality": {},
            "precision": {},
            "heads": {},
            "certainty": {},
            "means": None,
            "specification_digest": "",
        } | values  # files of the first versions have none
        missing = [f.name for f in fields(cls) if f.name not in values]
        if missing:
            raise VecaError(f"the manifest lacks {', '.join(missing)}")
        checked = {f.name: _checked(f.name, values[f.name]) for f in fields(cls) if f.name != "means"}
        return cls(**checked, means=_means(values["means"], checked["feature_dim"]))


_TEXTS = (
    *("name", "target", "quantization", "family"),
    *("program_digest", "source_digest", "specification_digest"),
)
_LISTS = {"budgets": int, "labels": str, "methods": str}
_TABLES = ("made_with", "verification", "quality", "precision", "heads")


def _checked(name: str, value: Any) -> Any:
    """One field's value in its type, or VecaError."""
    if name == "preprocessing":
        return Preprocessing.from_dict(value)
    if name == "certainty":
        return _certainty(value)
    if name in _LISTS:
        ok = isinstance(value, list) and all(type(item) is _LISTS[name] for item in value) and _printable(value)
        value = tuple(value) if ok else value
    elif name in _TEXTS:
        ok = isinstance(value, str) and _printable(value)
    elif name in _TABLES:
        ok = isinstance(value, dict) and _printable(value)
    else:
        ok = type(value) is int and 0 < value <= _LIMITS.get(name, _BYTES)
    if ok and name == "heads":
        read_tasks(value)
    if not ok:
        raise VecaError(f"the manifest's {name} is not valid: {shown(value)}")
    return value


def _means(value: Any, width: int) -> Means | None:
    """A manifest's means, or VecaError."""
    try:
        return None if value is None else Means.from_dict(value, width)
    except VecaError as error:
        raise VecaError(f"the manifest's {error}") from None


def _certainty(value: Any) -> Certainty:
    """A manifest's certainty, or VecaError."""
    try:
        return Certainty.from_dict(value)
    except VecaError as error:
        raise VecaError(f"the manifest's {error}") from None


def _printable(value: Any) -> bool:
    """Whether no text in it could steer a terminal."""
    if isinstance(value, dict):
        return all(_printable(key) and _printable(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_printable(item) for item in value)
    return value.isprintable() if isinstance(value, str) else True
