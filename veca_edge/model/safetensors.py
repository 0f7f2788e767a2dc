"""Checkpoints as .safetensors: one file, or several with an index; settings in metadata or a config.json."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from veca_edge.documents import parse_json
from veca_edge.errors import VecaError, require, shown
from veca_edge.model.untrusted import check_regular, sha256

SUFFIX = ".safetensors"
INDEX_SUFFIX = f"{SUFFIX}.index.json"
MAX_JSON = 1 << 24  # bytes of an index or of settings
_SETTINGS = ("config", "labels", "preprocessing")  # as in a checkpoint; texts in JSON in a file's metadata
_HEAD = "head."  # how the names of our classifier's weights begin


def is_safetensors(path: Path) -> bool:
    """Whether a file is, by its name or its beginning, a .safetensors file or the index of several."""
    try:
        if not path.is_file():  # opening a pipe would wait for a writer
            return False
        with path.open("rb") as file:
            head = file.read(9)
        begins = head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size
        return begins or path.name.endswith(INDEX_SUFFIX)
    except OSError:
        return False


def read_safetensors(path: Path) -> tuple[dict[str, Any], str]:
    """Read weights and settings.

    Args:
        path: a .safetensors file, or `model.safetensors.index.json` with its parts beside it.

    Returns:
        What a checkpoint of ours holds: `student`, and as far as they are there `head`, `config`, `labels` and
        `preprocessing`; and the SHA-256 of the file (of index and parts) in hexadecimal.

    Raises:
        VecaError: damaged, a part of several, with settings that cannot be read, or the package safetensors is not
            installed. The message does not name the file.
    """
    require("safetensors", "run")
    check_regular(path)
    if path.name.endswith(SUFFIX) and "-of-" in path.name:
        index = f"{path.name.partition('-')[0]}{INDEX_SUFFIX}"
        raise VecaError(f"is one of several parts; give {shown(index)} beside it")
    try:
        parts = _parts(path) if path.name.endswith(INDEX_SUFFIX) else [path]
        digests = [_digest(file) for file in dict.fromkeys([path, *parts])]
        tensors: dict[str, Tensor] = {}
        data = _settings(path.parent / "config.json")
        for part in parts:
            found, metadata = _read(part)
            if tensors.keys() & found.keys():
                raise VecaError(f"{shown(min(tensors.keys() & found.keys()))} occurs in several parts")
            tensors |= found
            data |= _metadata(metadata)
    except OSError as error:
        raise VecaError(f"cannot be read: {error.strerror or error}") from error
    head = {name.removeprefix(_HEAD): value for name, value in tensors.items() if name.startswith(_HEAD)}
    student = {name: value for name, value in tensors.items() if not name.startswith(_HEAD)}
    if not head:
        data.pop("labels", None)  # of a classifier that is not here
    whole = hashlib.sha256("".join(digests).encode()).hexdigest() if len(digests) > 1 else digests[0]
    return data | {"student": student, "head": head or None}, whole


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256(file)


def _parts(index: Path) -> list[Path]:
    """The files that an index names, which lie beside it."""
    with index.open("rb") as file:
        try:
            content = parse_json(file.read(MAX_JSON + 1), MAX_JSON)
        except VecaError as error:
            raise VecaError(f"the index {error}") from None
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names:
        raise VecaError("the index has no 'weight_map'; download it again")
    found = []
    for name in dict.fromkeys(map(_file_name, names.values())):
        if not (index.parent / name).is_file():
            raise VecaError(f"its part {shown(name)} is missing; download it, too")
        found.append(index.parent / name)
    return found


def _file_name(value: Any) -> str:
    if not isinstance(value, str) or Path(value).name != value or not value.endswith(SUFFIX):
        raise VecaError(f"the index names {shown(value)}, which is no .safetensors file beside it")
    return value


def _read(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError:
        raise
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError, AttributeError, OverflowError) as error:
        raise VecaError(f"{shown(path.name)} is damaged ({str(error)[:80]}); download it again") from None


def _metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Settings in a file's metadata, whose values are texts."""
    found = {}
    for name in _SETTINGS:
        if name in metadata:
            try:
                found[name] = parse_json(metadata[name], MAX_JSON)
            except VecaError as error:
                raise VecaError(f"{name} in its metadata {error}") from None
    return found


def _settings(path: Path) -> dict[str, Any]:
    """Settings in the file beside the weights: published names, or tables of them; labels as is usual there."""
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            values = parse_json(file.read(MAX_JSON + 1), MAX_JSON)
    except VecaError as error:
        raise VecaError(f"{shown(path.name)} beside it {error}") from None
    if not isinstance(values, dict):
        raise VecaError(f"{shown(path.name)} beside it holds no settings; remove it, or correct it")
    found = {name: values[name] for name in _SETTINGS if values.get(name) is not None}
    for name in ("label_names", "id2label"):
        if values.get(name):
            found.setdefault("labels", values[name])
    return {"config": values} | found
