"""Damaged, wrong and hostile checkpoint files: one line each, nothing executed, nothing on stderr."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.model.refused import check_refused
from veca_edge.errors import VecaError
from veca_edge.model.checkpoint import read_checkpoint
from veca_edge.model.config import VecaConfig
from veca_edge.model.veca import random_veca

CONFIG = VecaConfig.from_family("small", hidden_dim=64, num_heads=1, num_layers=2, ffn_dim=24, num_cores=16)
STATE = {name: value.detach() for name, value in random_veca(CONFIG).state_dict().items()}
HEAD = {"weight": torch.zeros(3, 128), "bias": torch.zeros(3)}


class Hostile:
    """Creates a file called `executed` in the working directory when unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("executed",)


def saved(value: Any, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def student(state: dict[str, Any] | None = None, **others: Any) -> bytes:
    return saved({"student": STATE if state is None else state, **others})


def changed(name: str, value: str | torch.Tensor) -> bytes:
    return student({**STATE, name: value})


def repacked(**options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(student())) as old, zipfile.ZipFile(buffer, "w", **options) as new:
        for member in old.namelist():
            new.writestr(member, old.read(member))
    return buffer.getvalue()


def overlapping() -> bytes:
    """Many directory entries that all point to the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data/0", bytes(5000))
        archive.filelist *= 50
    return buffer.getvalue()


def flipped() -> bytes:
    data = bytearray(student())
    position = data.index(STATE["pos_linears.0.weight"].numpy().tobytes()[:64])
    data[position] ^= 0x10
    return bytes(data)


def script() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def without(*names: str) -> bytes:
    return student({name: value for name, value in STATE.items() if name not in names})


def quiet_sparse() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return changed("blocks.0.fc1.weight", STATE["blocks.0.fc1.weight"].to_sparse_csr())


def many_layers() -> bytes:
    return student({**STATE, "blocks.999999999.fc1.weight": torch.zeros(1)})


def legacy(pickled: bytes) -> bytes:
    """A file in the format before PyTorch 1.6 whose checkpoint is this pickle, and which has no storages."""
    whole = saved({}, _use_new_zipfile_serialization=False)
    return whole.replace(EMPTY, pickled, 1)


def called(function: str, *arguments: bytes) -> bytes:
    """A pickle with a call."""
    module, _, name = function.rpartition(".")
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(arguments) + b"tR."


def storage(count: int, kind: str = "FloatStorage") -> bytes:
    """A storage of so many values, in a pickle."""
    texts = [b"X" + struct.pack("<I", len(text)) + text for text in (b"storage", b"0", b"cpu")]
    return b"(" + texts[0] + f"ctorch\n{kind}\n".encode() + texts[1] + texts[2] + number(count) + b"NtQ"


def number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def resized() -> bytes:
    """A tensor larger than its storage: torch would make the storage larger."""
    shape = b"(" + number(1_100_000_000) + b"t"
    tensor = [storage(4), number(0), shape, b"(" + number(1) + b"t", b"\x89", b"}"]
    return legacy(called("torch._utils._rebuild_tensor_v2", *tensor))


def nested(levels: int) -> bytes:
    """A dictionary whose only key is tuples in tuples."""
    return legacy(b"\x80\x02})" + b"\x85" * levels + b"K\x01s.")


def shared() -> list[Any]:
    """A list that has 2^50 leaves when it is written out."""
    value: list[Any] = []
    for _ in range(50):
        value = [value, value]
    return value


def hidden_get() -> bytes:
    """An OrderedDict with an attribute in place of its method `get`."""
    state = OrderedDict(STATE)
    state.get = None  # type: ignore[method-assign,assignment]
    return student(state)


def same_values() -> bytes:
    """Many weights that are one storage."""
    one = torch.zeros(max(value.numel() for value in STATE.values()))
    return student({name: one[: value.numel()].view(value.shape) for name, value in STATE.items()})


def with_archive_behind() -> bytes:
    """A pickle of code, and behind it an archive that swells."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10**7))
    return pickle.dumps(Hostile()) + buffer.getvalue()


EMPTY = b"\x80\x02}q\x00."
HUGE = torch.zeros(1).expand(10**7, 10**6)
NAN = torch.full((64,), float("nan"))
NUMBERED: dict[Any, torch.Tensor] = {**STATE, 7: torch.zeros(1)}
CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "the file is empty"),
    "random bytes": (lambda: random.Random(0).randbytes(5000), "not a PyTorch checkpoint"),
    "zeros": (lambda: bytes(5000), "not a PyTorch checkpoint"),
    "text": (lambda: b"hello, world\n" * 50, "not a PyTorch checkpoint"),
    "zip of something else": (lambda: b"PK\x05\x06" + bytes(18), "not a PyTorch checkpoint"),
    "cut to half": (lambda: student()[: len(student()) // 2], "cut short or damaged; copy it again"),
    "old format cut": (lambda: saved(STATE, _use_new_zipfile_serialization=False)[:9000], "cut short"),
    "one bit flipped": (flipped, "does not match its checksum"),
    "compressed": (lambda: repacked(compression=zipfile.ZIP_DEFLATED), "compressed archive"),
    "overlapping": (overlapping, "claims to hold more than its size"),
    "TorchScript": (script, "a TorchScript program"),
    "pickled code": (
        lambda: saved({"student": Hostile()}),
        r"refused: .*\bmkdir\) that loading would execute",
    ),
    "pickled code beside weights": (lambda: student(extra=Hostile()), r"refused: it contains pickled code"),
    "plain pickle with code": (lambda: pickle.dumps(Hostile()), r"refused: .*\bmkdir\)"),
    "old pickle with code": (lambda: pickle.dumps(Hostile(), protocol=0), r"refused: .*\bmkdir\)"),
    "plain pickle": (lambda: pickle.dumps({"a": 1}), "not a PyTorch checkpoint"),
    "whole module": (lambda: saved(nn.Linear(2, 2)), r"refused: .*torch\.nn\.modules\.linear\.Linear"),
    "numpy scalar": (lambda: student(score=np.float64(1)), r"refused: .*numpy.*scalar"),
    "list": (lambda: saved([1, 2]), "holds a list, expected a dictionary"),
    "tensor": (lambda: saved(torch.zeros(3)), "holds a Tensor, expected a dictionary"),
    "other dictionary": (
        lambda: saved({"model": {}, "epoch": 1}),
        r"no model weights \(found 'model', 'epoch'\)",
    ),
    "empty dictionary": (lambda: saved({}), r"no model weights \(found nothing\)"),
    "student is a list": (lambda: saved({"student": [1]}), "'student' is a list"),
    "student is empty": (lambda: student({}), "hidden_dim is unknown"),
    "number as name": (lambda: student(NUMBERED), "weight name 7 is not text"),
    "config is a list": (lambda: student(config=[1]), "'config' is a list"),
    "missing weights": (
        lambda: without("final_norm.bias", "blocks.1.fc1.bias", "pos_alpha", "blocks.0.fc2.bias"),
        r"missing: pos_alpha, blocks\.0\.fc2\.bias, blocks\.1\.fc1\.bias and 1 more",
    ),
    "missing first layer": (lambda: without("patch_embed.proj.weight"), "hidden_dim is unknown"),
    "promised norm is missing": (
        lambda: student(config={"patch_embed_use_ln": True}),
        r"missing: patch_embed\.norm\.weight, patch_embed\.norm\.bias;",
    ),
    "unknown weights": (
        lambda: changed("blocks.0.gamma", torch.zeros(3)),
        r"no VECA model has: blocks\.0\.gamma;",
    ),
    "twice": (lambda: changed("module.pos_alpha", torch.zeros(1)), "'pos_alpha' occurs twice"),
    "wrong shape": (
        lambda: changed("blocks.1.fc1.weight", torch.zeros(40, 64)),
        r"blocks\.1\.fc1\.weight has shape \(40, 64\), expected \(48, 64\)",
    ),
    "scalar for a matrix": (
        lambda: changed("blocks.1.fc1.weight", torch.zeros(())),
        r"has shape \(\), expected",
    ),
    "NaN": (lambda: changed("blocks.1.fc2.bias", NAN), r"blocks\.1\.fc2\.bias holds NaN or infinite"),
    "infinite": (lambda: changed("final_norm.weight", NAN.nan_to_num(float("inf"))), "holds NaN or infinite"),
    "overflow": (
        lambda: changed("final_norm.bias", torch.full((64,), 1e300, dtype=torch.float64)),
        "NaN or infinite",
    ),
    "heads": (lambda: student(config={"num_heads": 6}), "hidden_dim 64 is not divisible by num_heads 6"),
    "absurd layers": (many_layers, "num_layers is 1000000000, expected a whole number from 1 to 256"),
    "absurd width": (lambda: changed("patch_embed.proj.weight", HUGE[:, :1, None, None]), "claims 10000000 "),
    "absurd tensor": (lambda: changed("blocks.0.fc1.weight", HUGE), "claims 10000000000000 values"),
    "integers": (
        lambda: changed("pos_alpha", torch.ones(1, dtype=torch.int64)),
        "'pos_alpha' has dtype int64",
    ),
    "float8": (lambda: changed("pos_alpha", torch.ones(1).to(torch.float8_e4m3fn)), "dtype float8_e4m3fn"),
    "complex": (lambda: changed("pos_alpha", torch.ones(1, dtype=torch.complex64)), "has dtype complex64"),
    "sparse": (lambda: changed("pos_alpha", torch.ones(1).to_sparse()), "'pos_alpha' is a sparse tensor"),
    "sparse rows": (quiet_sparse, r"'blocks\.0\.fc1\.weight' is a sparse tensor"),
    "no data": (lambda: changed("pos_alpha", torch.ones(1, device="meta")), r"has no data \(device meta\)"),
    "text as weight": (lambda: changed("pos_alpha", "1"), "'pos_alpha' is a str, expected a tensor"),
    "head is a list": (lambda: student(head=[1]), "'head' is not a dictionary"),
    "head width": (
        lambda: student(head={"weight": torch.zeros(3, 64), "bias": torch.zeros(3)}),
        r"head\.weight has shape \(3, 64\), expected \(classes, 128\)",
    ),
    "head without classes": (
        lambda: student(head={"weight": torch.zeros(0, 128)}),
        r"head\.weight has shape",
    ),
    "head bias": (
        lambda: student(head={**HEAD, "bias": torch.zeros(2)}),
        r"head\.bias has shape \(2,\), expected \(3,\)",
    ),
    "head NaN": (lambda: student(head={**HEAD, "bias": NAN[:3]}), r"head\.bias holds NaN"),
    "labels count": (lambda: student(head=HEAD, labels=["a", "b"]), "2 labels, but the head has 3 classes"),
    "labels alone": (lambda: student(labels=["a"]), "1 labels, but there is no head"),
    "label type": (lambda: student(head=HEAD, labels=["a", None, "c"]), "label 1 is a NoneType"),
    "label empty": (lambda: student(head=HEAD, labels=["a", " ", "c"]), "label 1 is ' '"),
    "label control": (
        lambda: student(head=HEAD, labels=["a\x1b[31m", "b", "c"]),
        "expected a printable name",
    ),
    "labels text": (lambda: student(head=HEAD, labels="abc"), "'labels' is a str"),
    "labels gap": (lambda: student(head=HEAD, labels={0: "a", 1: "b", 3: "c"}), "keys are not 0, 1, 2"),
    "preprocessing": (lambda: student(preprocessing=3), "'preprocessing' is a int"),
    "image size": (
        lambda: student(preprocessing={"image_size": 100}),
        "image size 100 is not a multiple of the patch size 16",
    ),
    "fit": (lambda: student(preprocessing={"fit": "squash"}), "fit is 'squash', expected one of crop, pad"),
    "mean": (lambda: student(preprocessing={"mean": [1, 2]}), "mean must hold three finite numbers"),
    "std": (lambda: student(preprocessing={"std": [1, 0, 1]}), "std is .* expected values above 0"),
    "numbers too large": (
        lambda: student(preprocessing={"mean": [10**400, 0, 0]}),
        "got .a whole number of 1329 bits, 0, 0",
    ),
    "a number for a flag": (
        lambda: student(config={"patch_embed_use_ln": torch.ones(2)}),
        "is a Tensor, exp",
    ),
    "tensor as a setting": (lambda: student(config={"rope_zero_freqs_from": torch.ones(5, 5)}), "is a Tensor, exp"),
    "huge budgets": (
        lambda: student(config={"nested_budget_weights": [10**400] * 2}),
        "expected a list of numbers",
    ),
    "tuples in tuples": (lambda: nested(150_000), "lie in each other too deep"),
    "lists many times": (lambda: student(config={"nested_budgets": shared()}), "too deep or too often"),
    "lists many times as mean": (lambda: student(preprocessing={"mean": shared()}), "too deep or too often"),
    "a long bytearray": (
        lambda: legacy(called("builtins.bytearray", number(3 * 10**9))),
        "more values than its size",
    ),
    "a long storage": (lambda: legacy(called("torch.FloatStorage", number(10**9))), "no plain tensor"),
    "a storage larger than the file": (
        lambda: legacy(b"\x80\x02" + storage(10**9) + b"."),
        "more values than its size",
    ),
    "a tensor larger than its storage": (resized, "claims to hold more values|more values than there are"),
    "one storage for all": (same_values, "several weights are the same values"),
    "archive behind a pickle": (with_archive_behind, r"refused: .*\bmkdir"),
    "nested tensor": (
        lambda: changed("pos_alpha", torch.nested.nested_tensor([torch.ones(2)])),
        "_rebuild_nested_tensor', which is no plain tensor",
    ),
    "control characters": (lambda: student({**STATE, "a\nb\x1b": torch.zeros(1)}), r"a\\nb\\x1b"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_files_give_one_clear_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make, message = CASES[case]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.pt"
    path.write_bytes(make())
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_refused(path, message, capfd)
    assert not (tmp_path / "executed").exists()


def test_attributes_of_dictionaries_are_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(hidden_get())
    assert read_checkpoint(tmp_path / "a.pt").state.keys() == STATE.keys()


def test_the_hostile_pickle_would_have_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Hostile()))
    assert (tmp_path / "executed").exists()


def test_things_that_are_not_files(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, message in (
        (tmp_path, "is a directory"),
        (tmp_path / "missing.pt", "no such file"),
        (fifo, "not a regular file"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
    ):
        with pytest.raises(VecaError, match=message) as caught:
            read_checkpoint(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_any_truncation_is_refused(tmp_path: Path) -> None:
    data, path = student(), tmp_path / "cut.pt"
    for length in range(1, len(data), len(data) // 40):
        path.write_bytes(data[:length])
        with pytest.raises(VecaError, match=r"cut\.pt: "):
            read_checkpoint(path)


def test_any_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    data, path, generator = student(), tmp_path / "damaged.pt", random.Random(1)
    path.write_bytes(data)
    whole = read_checkpoint(path).state
    for _ in range(150):
        damaged = bytearray(data)
        damaged[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            read = read_checkpoint(path).state
        except VecaError:
            continue
        assert all(torch.equal(read[name], value) for name, value in whole.items())
