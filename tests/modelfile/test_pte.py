from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import veca_edge
from veca_edge.errors import VecaError
from veca_edge.modelfile.manifest import FORMAT_VERSION, Manifest
from veca_edge.modelfile.pte import describe, is_model_file, read_model_file, write_model_file


def test_what_was_written_is_read(default_model_file: Path, tmp_path: Path) -> None:
    file = read_model_file(default_model_file)
    program = default_model_file.read_bytes()[: file.manifest.program_size]
    copy = replace(file, path=tmp_path / "copy.pte")
    write_model_file(copy, program)
    again = read_model_file(copy.path)
    assert again.manifest == file.manifest
    np.testing.assert_array_equal(again.cores, file.cores)
    assert again.head is not None
    assert file.head is not None
    np.testing.assert_array_equal(again.head.weight, file.head.weight)


def test_any_zip_reader_finds_the_manifest(default_model_file: Path) -> None:
    with zipfile.ZipFile(default_model_file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == "veca-edge model"
    assert manifest["budgets"] == [8, 16, 24, 32, 40, 48, 56, 64]
    assert manifest["labels"][:2] == ["accordion", "airplane"]
    assert manifest["verification"]["passed"] is True


def test_the_manifest_is_readable_without_torch(default_model_file: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['executorch'] = None\n"
        "from veca_edge.modelfile.pte import read_model_file\n"
        "print(read_model_file(sys.argv[1]).manifest.budgets[-1])"
    )
    command = [sys.executable, "-c", code, str(default_model_file)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "64"


def test_describe_tells_what_the_manifest_says(default_model_file: Path) -> None:
    facts = describe(read_model_file(default_model_file))
    assert facts["kind"] == "model file"
    assert facts["bytes"] == default_model_file.stat().st_size
    assert facts["verification"]["passed"] is True


NESTED = b"[" * 50 + b"]" * 50


def _truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def _other_tool(data: bytes) -> bytes:
    return data[: data.rindex(b"manifest.json") - 2000]


def _bomb(data: bytes) -> bytes:
    """An array whose header claims far more than its member holds."""
    return _repacked(data, "cores.npy", lambda member: member.replace(b"(64, 192), }  ", b"(64, 99999999)}"))


def _text(name: str, old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: _repacked(data, name, lambda member: member.replace(old, new))


def _repacked(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The file with one member changed, checksums and all."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = {member: old.read(member) for member in old.namelist()}
        start = old.infolist()[0].header_offset
    buffer = io.BytesIO(data[:start])
    assert change(members[name]) != members[name]
    with zipfile.ZipFile(buffer, "a") as new:
        for member, content in members.items():
            new.writestr(member, change(content) if member == name else content)
    return buffer.getvalue()


def _bad_name(data: bytes) -> bytes:
    """A member's name that says it is UTF-8 and is not."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 9] + b"\x08" + data[at + 10 : at + 46] + b"\xff" + data[at + 47 :]


def _random(data: bytes) -> bytes:
    return np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "it is cut off, or was made by another tool"),
        (_flip, "damaged"),
        (_other_tool, "it is cut off, or was made by another tool"),
        (_bomb, "does not fit the manifest|cannot be read"),
        (_bad_name, "no veca-edge manifest"),
        (_text("manifest.json", b'"patch_size": 16', b'"patch_size": 4096'), "patch_size is not valid: 4096"),
        (
            _text("manifest.json", b'"patch_size": 16', b'"patch_size": 1' + b"0" * 400),
            "a whole number of 1329 bits",
        ),
        (
            _text("manifest.json", b'"verification": {', b'"verification": {"a": ' + b"[" * 50 + b"]" * 50 + b","),
            "32 deep",
        ),
        (_random, "not a model file|damaged|archive"),
        (lambda _: b"", "no weights|empty|not a"),
        (lambda data: data[:8] + b"\0" * 5000, "it is cut off, or was made by another tool"),
        (lambda data: data + b"\0" * 70000, "it is cut off, or was made by another tool"),
    ],
    ids=[
        *("truncated", "one byte", "no archive", "array", "name", "patch size", "huge number", "nested", "random"),
        "empty",
        "header only",
        "trailing bytes",
    ],
)
def test_damaged_files_are_refused_in_one_line(
    default_model_file: Path, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    path = tmp_path / "bad.pte"
    path.write_bytes(damage(default_model_file.read_bytes()))
    with pytest.raises(VecaError, match=message) as caught:
        veca_edge.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_cut_is_refused(default_model_file: Path, tmp_path: Path) -> None:
    data = default_model_file.read_bytes()
    path = tmp_path / "cut.pte"
    for keep in np.linspace(0, len(data) - 1, 23).astype(int):
        path.write_bytes(data[:keep])
        with pytest.raises(VecaError):
            read_model_file(path)


def _rebuilt(source: Path, target: Path, compression: int = zipfile.ZIP_STORED, **members: bytes) -> Path:
    """A copy with other members, by their names without the ending."""
    size = read_model_file(source).manifest.program_size
    target.write_bytes(source.read_bytes()[:size])
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "a", compression) as new:
        for name in old.namelist():
            new.writestr(name, members.get(name.partition(".")[0], old.read(name)))
    return target


def _edited(source: Path, target: Path, change: Callable[[dict[str, object]], object]) -> Path:
    """A copy with another manifest."""
    with zipfile.ZipFile(source) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    change(manifest)
    return _rebuilt(source, target, manifest=json.dumps(manifest).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "update veca-edge"),
        ({"format": "something else"}, "not of veca-edge"),
        ({"target": "executorch-coreml"}, "use `veca-edge convert --target coreml`"),
        ({"budgets": [8, 65]}, "budgets do not fit"),
        ({"budgets": []}, "budgets do not fit"),
        ({"budgets": "64"}, "budgets is not valid"),
        ({"budgets": [64, 8]}, "budgets do not fit"),
        ({"budgets": [8, 8]}, "budgets do not fit"),
        ({"format_version": True}, "update veca-edge"),
        ({"format_version": -1}, "update veca-edge"),
        ({"name": "\x1b]0;title\x07"}, "name is not valid"),
        ({"made_with": {"a": "\x1b[31m"}}, "made_with is not valid"),
        ({"labels": [1, 2]}, "labels is not valid"),
        ({"labels": ["one"]}, "does not fit the manifest"),
        ({"num_cores": 10**9}, "num_cores is not valid"),
        ({"num_cores": 4096}, "does not fit the manifest"),
        ({"patch_size": 0}, "patch_size is not valid"),
        ({"patch_size": True}, "patch_size is not valid"),
        ({"num_heads": 7}, "contradict"),
        ({"preprocessing": {"fit": "spin"}}, "fit"),
        ({"program_size": 100}, "damaged"),
        ({"program_digest": "0" * 64}, "damaged"),
    ],
    ids=str,
)
def test_a_manifest_that_makes_no_sense_is_refused(
    default_model_file: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = _edited(default_model_file, tmp_path / "edited.pte", lambda m: m.update(change))
    with pytest.raises(VecaError, match=message):
        read_model_file(path)


@pytest.mark.parametrize(
    "change",
    [
        {"patch_size": 8},
        {"num_layers": 3},
        {"num_heads": 1},
        {"max_patches": 4096},
        {"feature_dim": 64, "labels": [], "heads": {}, "means": None},
    ],
    ids=str,
)
def test_sizes_that_are_not_the_programs_are_refused(
    default_model_file: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    path = _edited(default_model_file, tmp_path / "edited.pte", lambda m: m.update(change))
    with pytest.raises(VecaError, match="is not the program's"):
        veca_edge.load(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_compressed_archives_are_not_ours(default_model_file: Path, tmp_path: Path, compression: int) -> None:
    path = _rebuilt(default_model_file, tmp_path / "compressed.pte", compression)
    with pytest.raises(VecaError, match="compressed"):
        read_model_file(path)


@pytest.mark.parametrize("header", [b"{{{", b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }"])
def test_hostile_array_headers_are_refused(default_model_file: Path, tmp_path: Path, header: bytes) -> None:
    manifest = read_model_file(default_model_file).manifest
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    array += b"\0" * (4 * manifest.num_cores * manifest.hidden_dim)
    path = _rebuilt(default_model_file, tmp_path / "hostile.pte", cores=array)
    with pytest.raises(VecaError, match="cannot be read"):
        read_model_file(path)


def test_missing_values_are_named(default_model_file: Path, tmp_path: Path) -> None:
    path = _edited(default_model_file, tmp_path / "edited.pte", lambda m: m.pop("num_heads"))
    with pytest.raises(VecaError, match="lacks num_heads"):
        read_model_file(path)


def test_hostile_numbers_in_the_core_tokens_are_refused(default_model_file: Path, tmp_path: Path) -> None:
    file = read_model_file(default_model_file)
    program = default_model_file.read_bytes()[: file.manifest.program_size]
    cores = file.cores.copy()
    cores[3, 5] = np.nan
    write_model_file(replace(file, path=tmp_path / "nan.pte", cores=cores), program)
    with pytest.raises(VecaError, match="not numbers"):
        read_model_file(tmp_path / "nan.pte")


def test_nothing_is_left_behind_when_writing_fails(default_model_file: Path, tmp_path: Path) -> None:
    file = read_model_file(default_model_file)
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(VecaError, match="cannot write"):
        write_model_file(replace(file, path=target), b"program")
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(VecaError, match="cannot write"):
        write_model_file(replace(file, path=tmp_path / "missing" / "x.pte"), b"program")


def test_told_apart_from_checkpoints(default_model_file: Path) -> None:
    from veca_edge.model.checkpoint import default_checkpoint_path

    assert is_model_file(default_model_file)
    assert not is_model_file(default_checkpoint_path())
    assert not is_model_file("no-such-file")


def test_the_manifest_round_trips(default_model_file: Path) -> None:
    manifest = read_model_file(default_model_file).manifest
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_copy_runs_anywhere(default_model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "name with spaces é.pte"
    shutil.copy(default_model_file, path)
    assert veca_edge.load(path).name == "everyday"
