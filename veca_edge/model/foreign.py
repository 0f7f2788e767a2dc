"""Files that are given as checkpoints and are none: what kind they are, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from veca_edge.errors import VecaError, shown
from veca_edge.image.formats import recognised

HEAD = 4096  # bytes from the beginning that tell the kind
_SAVE = "save the model's state dict with torch.save"
_UNPACK = "unpack it, and give the checkpoint inside"
_PICTURES = {"image": "a picture", "film": "a film"}
_WEB = ("a web page (HTML)", "the download went wrong, perhaps for want of a login: download the file itself again")
# How a file begins, what it is, and what to do.
_BEGINNINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer to a file that was not fetched", "run `git lfs pull`"),
    (b"version https://hawser", "a Git LFS pointer to a file that was not fetched", "run `git lfs pull`"),
    (b"GGUF", "a GGUF file of llama.cpp", _SAVE),
    (b"ggml", "a GGML file of llama.cpp", _SAVE),
    (b"lmgg", "a GGML file of llama.cpp", _SAVE),
    (b"tjgg", "a GGML file of llama.cpp", _SAVE),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file of Keras or TensorFlow", _SAVE),
    (b"\x93NUMPY", "a numpy array (.npy)", _SAVE),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"%PDF", "a PDF document", "give the weights' file"),
    (b"\x7fELF", "a program for Linux", "give the weights' file"),
    (b"MZ", "a program for Windows", "give the weights' file"),
    (b"PAR1", "a Parquet table", "give the weights' file"),
    (b"SQLite format 3", "an SQLite database", "give the weights' file"),
)
# The same of text, in small letters behind white space.
_TEXTS: tuple[tuple[bytes, str, str], ...] = (
    (b"<!doctype html", *_WEB),
    (b"<html", *_WEB),
    (b"<head", *_WEB),
    (b"<!--", *_WEB),
    (b"<?xml", "an XML document, perhaps the error message of a server", "download the file itself again"),
    (b"{", "a JSON document", "give the weights' file beside it, or download it again if it is a server's message"),
    (b"[", "a JSON document", "give the weights' file beside it, or download it again if it is a server's message"),
    (b"oid sha256:", "a Git LFS pointer to a file that was not fetched", "run `git lfs pull`"),
)
# Of archives that torch did not save: the end of a member's name, what they are, and what to do.
_MEMBERS: tuple[tuple[str, str, str], ...] = (
    ("/constants.pkl", "a TorchScript program", _SAVE),
    ("serialized_exported_program.json", "a program of torch.export (.pt2)", _SAVE),
    ("/archive_format", "a program of torch.export (.pt2)", _SAVE),
    ("model.weights.h5", "a Keras model", _SAVE),
    (".npy", "an archive of numpy arrays (.npz)", _SAVE),
    (".mlmodel", "a packed Core ML package", "unpack it, and give the .mlpackage folder"),
    ("saved_model.pb", "a packed TensorFlow model", _SAVE),
    ("[Content_Types].xml", "an office document", "give the weights' file"),
    ("AndroidManifest.xml", "an Android app", "give the weights' file"),
)


def check_beginning(path: Path, head: bytes) -> None:
    """Raise a VecaError for what is known and no checkpoint.

    Args:
        path: of the file; its ending tells what its beginning does not.
        head: the first `HEAD` bytes.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n\0").lower() if head[:1] != b"\0" else b""
    for beginning, kind, remedy in _BEGINNINGS:
        if head.startswith(beginning):
            raise not_a_checkpoint(kind, remedy)
    for beginning, kind, remedy in _TEXTS:
        if text.startswith(beginning):
            raise not_a_checkpoint(kind, remedy)
    if (found := recognised(head)) and found.kind in _PICTURES:
        raise not_a_checkpoint(_PICTURES[found.kind], "give the weights' file")
    if head[4:6] == b"ET":
        raise VecaError("an ExecuTorch program; give the checkpoint that it was made from")
    if head[4:8] == b"TFL3":
        raise not_a_checkpoint("a TensorFlow Lite model", _SAVE)
    if head[257:262] == b"ustar":
        raise not_a_checkpoint("a tar archive", _UNPACK)
    if _is_onnx(path, head):
        raise not_a_checkpoint("an ONNX model", f"give the checkpoint that it was exported from, or {_SAVE}")
    if path.suffix == ".safetensors":
        raise VecaError("the .safetensors file is cut short or damaged; download it again")
    if path.suffix in (".pb", ".index") or ".data-0000" in path.name:
        raise not_a_checkpoint("a file of TensorFlow", _SAVE)
    if path.suffix in (".crdownload", ".part", ".download", ".partial"):
        raise not_a_checkpoint("an unfinished download", "wait for its end, or download it again")


def check_text(head: bytes) -> None:
    """Raise a VecaError for text: what begins so is no pickle either.

    Args:
        head: the first `HEAD` bytes.
    """
    printable = all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head)
    if head and printable and _is_text(head):
        raise not_a_checkpoint(
            f"damaged, or text ({shown(head[:30].decode(errors='replace'))})", "give the weights' file"
        )


def check_members(names: Sequence[str]) -> None:
    """Raise a VecaError, with the kind of archive, unless these are the members of one that torch.save wrote."""
    for ending, kind, remedy in _MEMBERS:
        if any(name.endswith(ending) for name in names):
            raise not_a_checkpoint(kind, remedy)
    if not any(name.endswith("/data.pkl") for name in names):
        inside = [name for name in names if name.endswith((".pt", ".pth", ".bin", ".ckpt", ".safetensors"))]
        held = ", ".join(shown(name) for name in (inside or list(names))[:3]) or "nothing"
        raise not_a_checkpoint(f"a ZIP archive that holds {held}", _UNPACK)


def not_a_checkpoint(kind: str, remedy: str) -> VecaError:
    """The error for a file of another kind."""
    return VecaError(f"{kind}, not a PyTorch checkpoint; {remedy}")


def _is_onnx(path: Path, head: bytes) -> bool:
    """A protobuf message that begins with a small version and the name of a producer; or the ending says so."""
    named = len(head) > 4 and head[0] == 8 and head[1] < 32 and head[2] == 18 and 0 < head[3] < 64
    return path.suffix == ".onnx" or (named and head[4 : 4 + head[3]].isascii())


def _is_text(head: bytes) -> bool:
    try:
        head[:-4].decode() if len(head) == HEAD else head.decode()
    except UnicodeDecodeError:
        return False
    return True
