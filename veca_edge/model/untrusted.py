"""Opening a checkpoint that may be damaged or hostile: nothing is executed, every failure is one line.

What a file may cost is decided here, once, before anything is built from it: memory and time in proportion to its
size. What comes out are plain dictionaries, lists, numbers, texts and tensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from veca_edge.errors import VecaError, shown
from veca_edge.files import ZIP_ERRORS
from veca_edge.model.foreign import HEAD, check_beginning, check_members, check_text, not_a_checkpoint
from veca_edge.model.pickles import DAMAGED, Budget, check_names, check_pickle

MAGIC = 0x1950A86A20F9469CFC6C  # the first value of files before PyTorch 1.6
MAX_PICKLE = 1 << 27  # bytes of an archive's pickle, which holds everything but the weights
_CUT = "the file is cut short or damaged; copy it again"
_END = b"PK\x05\x06"  # of an archive's last record, which has 22 bytes unless a comment follows


def load_untrusted(path: Path) -> tuple[Any, str]:
    """Load a `torch.save` file without executing anything in it.

    Returns:
        The stored object, of plain values and tensors, and the SHA-256 of the file's bytes in hexadecimal.

    Raises:
        VecaError: unreadable, damaged, of another kind, with pickled code, or asking for more memory than its size
            explains. The message does not name the file.
    """
    try:
        check_regular(path)
        with path.open("rb") as file:
            digest = sha256(file)
            _check(path, file)
            return _plain(_load(file)), digest
    except OSError as error:
        raise VecaError(f"cannot be read: {error.strerror or error}") from error


def check_regular(path: Path) -> None:
    """Raise a VecaError unless this is a regular file with something in it."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError):
        path.stat()  # raises what Path's own questions answer with "no" from Python 3.14 on
    if path.is_dir():
        inside = sorted(path.glob("*.safetensors.index.json")) + sorted(path.glob("*.safetensors"))
        named = f" ({shown(inside[0].name)})" if inside else ""
        raise VecaError(f"is a directory; give the checkpoint file inside it{named}")
    if not path.exists():
        raise VecaError("no such file; check the path")
    if not path.is_file():
        raise VecaError("not a regular file; copy it to one first")
    if path.stat().st_size == 0:
        raise VecaError("the file is empty; copy it again")


def sha256(file: BinaryIO) -> str:
    """SHA-256 of a file, hexadecimal; the file is left at its beginning."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def _check(path: Path, file: BinaryIO) -> None:
    """Refuse what torch's reader would not notice, or what it would take too much memory or time for."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(HEAD)
    check_beginning(path, head)
    file.seek(0)
    if head[:2] == b"PK":
        _check_archive(file, size)
    else:
        # Mapped, for a file would make room for as much as a text claims to have before it reads.
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check_names(data)
            check_text(head)
            data.seek(0)
            _check_sequence(data, size)
    file.seek(0)


def _check_archive(file: BinaryIO, size: int) -> None:
    """An archive: members whole, none that swells beyond the file's size, and a harmless pickle."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if sum(member.compress_size for member in members) > size:
                raise VecaError("claims to hold more than its size; copy the file again")
            check_members([member.filename for member in members])
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise VecaError("a compressed archive, not a checkpoint; save it with torch.save")
            if sum(member.file_size for member in members) > size:
                raise VecaError(_CUT)
            damaged = archive.testzip()
            if damaged is not None:
                raise VecaError(f"damaged: {shown(damaged)} does not match its checksum; copy the file again")
            _check_layout(file, members, size)
            folder = members[0].filename.partition("/")[0]
            sizes = {member.filename.removeprefix(f"{folder}/data/"): member.file_size for member in members}
            if f"{folder}/data.pkl" not in archive.namelist() or sizes[f"{folder}/data.pkl"] > MAX_PICKLE:
                raise VecaError(DAMAGED)
            pickled = archive.read(f"{folder}/data.pkl")
    except ZIP_ERRORS as error:
        raise VecaError(_CUT) from error
    check_names(pickled)
    check_pickle(pickled, Budget(size, sizes))


def _check_layout(file: BinaryIO, members: list[zipfile.ZipInfo], size: int) -> None:
    """Whether there is only one way to read the archive: torch reads it by other code than Python's."""
    names = [member.filename for member in members]
    file.seek(max(size - 22, 0))
    if file.read(4) != _END or len(set(names)) < len(names):
        raise VecaError(_CUT)
    if any("/" not in name or name.partition("/")[0] != names[0].partition("/")[0] for name in names):
        raise VecaError(DAMAGED)


def _check_sequence(file: mmap.mmap, size: int) -> None:
    """A file from before PyTorch 1.6: five pickles, the fourth of which is the checkpoint, then its storages."""
    budget = Budget(size)
    magic = check_pickle(file, budget)
    if magic != MAGIC:
        raise not_a_checkpoint("a plain pickle, or damaged", "copy it again or save it with torch.save")
    for _ in range(4):
        here = file.tell()
        check_names(file)
        file.seek(here)
        check_pickle(file, budget)


def _load(file: BinaryIO) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise VecaError("needs more memory than there is; the file is damaged or too large") from error
    except pickle.UnpicklingError as error:
        raise VecaError(DAMAGED) from error
    except Exception as error:
        # torch's reader raises almost any type on garbage: KeyError, EOFError, RuntimeError and others.
        if "EOF" in str(error):
            raise VecaError("the file is cut short; copy it again") from error
        raise VecaError(DAMAGED) from error


def _plain(value: Any) -> Any:
    """The same in plain dictionaries and lists, without the attributes that a file may hang on them."""
    if isinstance(value, Tensor):
        return _plain_tensor(value)
    if isinstance(value, dict):
        # OrderedDict's own items, for an attribute may hide them.
        items = OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value)
        return {key: _plain(item) for key, item in items}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value)) if type(value) in (list, tuple) else list(map(_plain, value))
    return value


def _plain_tensor(value: Tensor) -> Tensor:
    """The tensor alone, without gradient or attributes; a Parameter is one, too."""
    if type(value) not in (Tensor, torch.nn.Parameter):
        raise VecaError(f"holds a {type(value).__name__}, which is no plain tensor; save dense tensors only")
    return Tensor.detach(value)
