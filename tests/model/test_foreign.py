"""Files of other programs in a checkpoint's place are called by their name."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.refused import check_refused


def archive_of(*names: str, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in names:
            archive.writestr(name, bytes(2000))
    return buffer.getvalue()


def onnx() -> bytes:
    return b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(range(200)) * 20


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "film": (
        lambda: b"\0\0\0\x18ftypisom" + bytes(5000),
        "a film, not a PyTorch checkpoint; give the weights' file",
    ),
    "model file": (lambda: b"\x1c\0\0\0ET12" + bytes(5000), "an ExecuTorch program; give the checkpoint"),
    "Git LFS": (
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345678\n",
        "Git LFS pointer .*run `git lfs pull`",
    ),
    "web page": (lambda: b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "a web page .*download"),
    "JSON": (lambda: b'{"error": "not found"}', "a JSON document"),
    "GGUF": (lambda: b"GGUF\x03\0\0\0" + bytes(3000), "a GGUF file of llama.cpp"),
    "ONNX": (onnx, "an ONNX model"),
    "TensorFlow Lite": (lambda: b"\x1c\0\0\0TFL3" + bytes(3000), "a TensorFlow Lite model"),
    "Keras": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(3000), "an HDF5 file of Keras"),
    "gzip": (lambda: b"\x1f\x8b\x08\0" + bytes(range(1, 250)) * 9, "a gzip archive.* unpack it"),
    "archive of others": (lambda: archive_of("readme.txt", "m/best.pt"), "a ZIP archive that holds 'm/best.pt'"),
    "numpy archive": (lambda: archive_of("a.npy", "b.npy"), "an archive of numpy arrays"),
}


@pytest.mark.parametrize("case", CASES)
def test_other_files_are_named_in_one_line(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make, message = CASES[case]
    path = tmp_path / "bad.pt"
    path.write_bytes(make())
    check_refused(path, message, capfd)
