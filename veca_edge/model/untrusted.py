"""Opening a checkpoint that may be damaged or hostile: nothing is executed, every failure is one line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import pickletools
import warnings
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from veca_edge.errors import VecaError

# The names torch's restricted loader needs to rebuild tensors; anything else in a pickle is somebody's code.
_TENSOR_MODULES = (
    "torch._utils.",
    "torch._tensor.",
    "torch.storage.",
    "torch.nn.parameter.",
    "_codecs.encode",
)
_PLAIN_TYPES = ("set", "bytearray", "complex", "OrderedDict", "Counter", "defaultdict", "Size")
_NOT_A_CHECKPOINT = "not a PyTorch checkpoint, or a damaged one; copy it again or save it with torch.save"


def load_untrusted(path: Path) -> tuple[Any, str]:
    """Load a `torch.save` file without executing anything in it.

    Returns:
        The stored object, and the SHA-256 of the file's bytes in hexadecimal.

    Raises:
        VecaError: unreadable, damaged, or with pickled code. The message does not name the file.
    """
    try:
        _check_kind(path)
        with path.open("rb") as file:
            digest = _sha256(file)
            _check_archive(file)
            return _load(file), digest
    except OSError as error:
        raise VecaError(f"cannot be read: {error.strerror or error}") from error


def shown(value: object) -> str:
    """A name or value from an untrusted file, quoted, on one line, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _check_kind(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        path.stat()  # raises what Path's own questions answer with "no" from Python 3.14 on
    if path.is_dir():
        raise VecaError("is a directory; give the checkpoint file inside it")
    if not path.exists():
        raise VecaError("no such file; check the path")
    if not path.is_file():
        raise VecaError("not a regular file; copy it to one first")
    if path.stat().st_size == 0:
        raise VecaError("the file is empty; copy it again")


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def _check_archive(file: BinaryIO) -> None:
    """Refuse damaged zip members, which torch does not notice, and ones that swell beyond the file's size."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start[4:6] == b"ET":
        raise VecaError("an ExecuTorch program; give the checkpoint that it was made from")
    if start[:2] != b"PK":
        return
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if any(member.filename.endswith("/constants.pkl") for member in members):
                raise VecaError("a TorchScript program; save the state dict with torch.save instead")
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise VecaError("a compressed archive, not a checkpoint; save it with torch.save")
            if sum(member.file_size for member in members) > size:
                raise VecaError("claims to hold more than its size; copy the file again")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise VecaError("the file is cut short or damaged; copy it again") from error
    if damaged is not None:
        raise VecaError(f"damaged: {shown(damaged)} does not match its checksum; copy the file again")
    file.seek(0)


def _load(file: BinaryIO) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = _foreign_code(file)
        if code is None:
            raise VecaError(_NOT_A_CHECKPOINT) from error
        message = f"refused: it contains pickled code ({code}) that loading would execute"
        raise VecaError(f"{message}; save only tensors, numbers and text with torch.save") from error
    except MemoryError as error:
        raise VecaError("needs more memory than there is; the file is damaged or too large") from error
    except Exception as error:
        # torch's reader raises almost any type on garbage: KeyError, EOFError, RuntimeError and others.
        if "EOF" in str(error):
            raise VecaError("the file is cut short; copy it again") from error
        raise VecaError(_NOT_A_CHECKPOINT) from error


def _foreign_code(file: BinaryIO) -> str | None:
    """The first callable in a file's pickle that has nothing to do with tensors, found without unpickling."""
    try:
        file.seek(0)
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                return _first_foreign(archive.read(name))
        file.seek(0)
        return _first_foreign(file.read())
    except (ValueError, StopIteration, zipfile.BadZipFile, UnicodeDecodeError, EOFError):
        return None


def _first_foreign(data: bytes) -> str | None:
    strings: list[str] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("GLOBAL", "INST"):
            name = str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            name = ".".join(strings[-2:])
        else:
            if isinstance(argument, str):
                strings.append(argument)
            continue
        if not _is_harmless(name):
            return shown(name).strip("'\"")
    return None


def _is_harmless(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if module in ("builtins", "__builtin__", "collections", "torch") and last in _PLAIN_TYPES:
        return True
    # Storage types, as torch.FloatStorage, and dtypes, as torch.float16.
    typed = module == "torch" and (last.endswith("Storage") or isinstance(getattr(torch, last, None), torch.dtype))
    return typed or name.startswith(_TENSOR_MODULES)
