"""Every reader of files from outside, with a small valid sample and how it is changed."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import mutated_archive, mutated_bytes, mutated_json, mutated_value
from tests.paths import CLIP

Mutate = Callable[[bytes, random.Random], bytes]
SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        name: of the file that it gets.
        sample: the bytes of a valid one.
        read: reads a file; may raise nothing but VecaError.
        mutate: a sample and dice to the bytes of a changed one.
        ours: whether it is held to raise nothing else; of the others failures are reported.
    """

    name: str
    sample: Callable[[], bytes]
    read: Callable[[Path], object]
    mutate: Mutate = mutated_bytes
    ours: bool = True

    def prepare(self, folder: Path, dice: random.Random) -> Path:
        """Write a changed sample."""
        path = folder / self.name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path.write_bytes(self.mutate(self.sample(), dice))
        return path


@dataclass(frozen=True)
class PackageReader:
    """A reader of folders: one of the files in a package is changed."""

    template: Path
    name: str = "m.mlpackage"
    ours: bool = True

    def prepare(self, folder: Path, dice: random.Random) -> Path:
        path = folder / self.name
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.template, path)
        parts = sorted(part for part in path.rglob("*") if part.is_file())
        part = dice.choice(parts)
        change = mutated_json if part.name == "Manifest.json" else mutated_bytes
        part.write_bytes(change(part.read_bytes(), dice))
        return path

    def read(self, path: Path) -> object:
        from veca_edge.modelfile.mlpackage import describe_package
        from veca_edge.modelfile.mlprogram.package import open_package
        from veca_edge.runtime.engines.interpreter.interpreter import Interpreter

        Interpreter(open_package(path))
        return describe_package(path)


def _checkpoint() -> dict[str, Any]:
    import torch

    from veca_edge.model.config import VecaConfig
    from veca_edge.model.veca import random_veca

    config = VecaConfig.from_family("small", hidden_dim=16, num_heads=1, num_layers=2, ffn_dim=8, num_cores=16)
    return {
        "student": {name: value.detach() for name, value in random_veca(config).state_dict().items()},
        "config": dict(config.to_published()),
        "head": {"weight": torch.zeros(2, 32), "bias": torch.zeros(2)},
        "labels": ["a", "b"],
        "preprocessing": {"image_size": 32, "mean": [0.5, 0.5, 0.5]},
    }


@cache
def _saved(legacy: bool = False) -> bytes:
    return _save(_checkpoint(), legacy)


def _save(value: Any, legacy: bool = False) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _mutated_checkpoint(data: bytes, dice: random.Random) -> bytes:
    """The bytes, an archive's member, or the values that are saved are changed."""
    kind = dice.randrange(4)
    if kind == 0:
        return mutated_bytes(data, dice)
    if kind == 1 and data[:2] == b"PK":
        return mutated_archive(data, dice, lambda _, content: mutated_bytes(content, dice))
    return _save(mutated_value(_checkpoint(), dice), legacy=data[:2] != b"PK")


@cache
def _safetensors() -> bytes:
    """Written by hand, so that this needs no package."""
    header: dict[str, Any] = {"__metadata__": {"config": json.dumps(_checkpoint()["config"])}}
    body = b""
    for name, value in _checkpoint()["student"].items():
        content = value.numpy().tobytes()
        offsets = [len(body), len(body) + len(content)]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
        body += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _mutated_safetensors(data: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.3:
        return mutated_bytes(data, dice)
    (length,) = struct.unpack("<Q", data[:8])
    text = mutated_json(data[8 : 8 + length], dice)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _mutated_pte(data: bytes, dice: random.Random) -> bytes:
    def inside(name: str, content: bytes) -> bytes:
        return mutated_json(content, dice) if name.endswith(".json") else mutated_bytes(content, dice)

    return mutated_bytes(data, dice) if dice.random() < 0.3 else mutated_archive(data, dice, inside)


def _read_pte(path: Path) -> object:
    from veca_edge.governor.quality import QualityTable
    from veca_edge.modelfile.pte import describe, read_model_file

    file = read_model_file(path)
    QualityTable.of_file(file.manifest.quality, file.manifest.budgets)
    return describe(file)


def _read_checkpoint(path: Path) -> object:
    from veca_edge.model.checkpoint import read_checkpoint

    return read_checkpoint(path)


def _read_state(path: Path) -> object:
    from veca_edge.training.state import read_state

    return read_state(path)


def _read_log(path: Path) -> object:
    from veca_edge.training.state import read_log

    return list(read_log(path))


def _read_recipe(path: Path) -> object:
    from veca_edge.training.settings import load_recipe
    from veca_edge.training.tables import plain

    recipe = load_recipe(str(path))
    recipe.check_model(recipe.model_config())
    return plain(recipe)


def _recipe() -> bytes:
    from veca_edge.training.settings import load_recipe
    from veca_edge.training.tables import render

    return render(load_recipe(None)).encode()


def _read_profile(path: Path) -> object:
    from veca_edge.runtime.profile import _recall

    return _recall(path)


def _read_answers(path: Path) -> object:
    import torch

    from veca_edge.training.answers import KeptAnswers
    from veca_edge.training.settings import load_recipe

    return KeptAnswers(path, 2, load_recipe(None, ["teacher.views=2"]), torch.device("cpu"))


def _answers() -> bytes:
    import numpy as np

    from veca_edge.training.answers import FIELDS

    shapes = (("f4", (4,)), ("f2", (3,)), ("f2", (4, 3)), ("f2", (0,)))
    rows = np.zeros((2, 2), [(name, *shape) for name, shape in zip(FIELDS, shapes, strict=True)])
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


@cache
def _index() -> bytes:
    import numpy as np

    from veca_edge.gallery.pictures import MadeWith, PictureIndex

    made, vectors = MadeWith("m", "ab", 8, 64), np.eye(2, dtype=np.float32)
    index = PictureIndex(Path("p"), ("a.jpg", "b.jpg"), np.zeros((2, 2), np.int64), vectors, made)
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder, "a.npz"))
        return Path(folder, "a.npz").read_bytes()


def _mutated_index(data: bytes, dice: random.Random) -> bytes:
    """The bytes or an archive's member are changed."""
    if dice.random() < 0.3:
        return mutated_bytes(data, dice)
    return mutated_archive(data, dice, lambda _, content: mutated_bytes(content, dice))


def _read_index(path: Path) -> object:
    from veca_edge.gallery.pictures import PictureIndex

    return PictureIndex.load(path).duplicates()


def _read_trace(path: Path) -> object:
    from veca_edge.sensors.trace import read_trace

    return read_trace(path)


def _read_image(path: Path) -> object:
    from veca_edge.image.stills import read_image

    return read_image(path)


def _read_video(path: Path) -> object:
    from veca_edge.camera.sources import open_source

    with open_source(path) as source:
        return sum(1 for _ in zip(source, range(20), strict=False))


def _picture(ending: str) -> Callable[[], bytes]:
    def make() -> bytes:
        import cv2
        import numpy as np

        return bytes(cv2.imencode(ending, np.arange(3072, dtype=np.uint8).reshape(32, 32, 3))[1])

    return make


ROW = {"cores": 8, "image_size": 64, "patch_budget": None, "p50": 0.01, "p95": 0.02, "mean": 0.01, "computed": 9}
PROFILE = {
    "format": 1,
    "device": {"processor": "x", "cores": 2, "threads": 2, "runtime": "y"},
    "timed": 5,
    "seconds": 3.0,
    "others": 0.5,
    "rows": [
        {"cores": 8, "image_size": 64, "patch_budget": None, "p50": 0.01, "p95": 0.02, "mean": 0.01, "computed": 9}
    ],
}
LOG = [{"step": step, "loss": 1.5, "validation": {"64": {"8": {"top1": 0.5}}}} for step in range(3)]
TRACE = [{"time": float(second), "battery": 0.5, "charging": False} for second in range(3)]


def _lines(records: list[dict[str, Any]]) -> Callable[[], bytes]:
    return lambda: "".join(json.dumps(record) + "\n" for record in records).encode()


def readers(model_file: Path | None, package: Path | None) -> Mapping[str, Reader | PackageReader]:
    """Every reader by name; those of a model file and a package if there are samples."""
    found: dict[str, Reader | PackageReader] = {
        "checkpoint": Reader("a.pt", _saved, _read_checkpoint, _mutated_checkpoint),
        "old checkpoint": Reader("a.pt", lambda: _saved(True), _read_checkpoint, _mutated_checkpoint),
        "safetensors": Reader("a.safetensors", _safetensors, _read_checkpoint, _mutated_safetensors),
        "training state": Reader("a.state.pt", _saved, _read_state, _mutated_checkpoint),
        "training log": Reader("a.log.jsonl", _lines(LOG), _read_log, mutated_json),
        "answers": Reader("a.answers.npy", _answers, _read_answers),
        "picture index": Reader("a.npz", _index, _read_index, _mutated_index),
        "recipe": Reader("a.toml", _recipe, _read_recipe),
        "profile": Reader("a.json", lambda: json.dumps(PROFILE).encode(), _read_profile, mutated_json),
        "sensor trace": Reader("a.jsonl", _lines(TRACE), _read_trace, mutated_json, ours=False),
        "video": Reader("a.mp4", CLIP.read_bytes, _read_video, ours=False),
    }
    for ending in (".jpg", ".png", ".bmp", ".tif", ".webp"):
        found[f"image {ending}"] = Reader(f"a{ending}", _picture(ending), _read_image, ours=False)
    if model_file is not None:
        found["model file"] = Reader("a.pte", model_file.read_bytes, _read_pte, _mutated_pte)
    if package is not None:
        found["package"] = PackageReader(package)
    return found
