"""What is compared between processors, computed here: calls, a stream, commands, and pictures resized.

python -m tests.arm64.probe FOLDER OUTPUT.npz      # FOLDER: model files, and the checkpoint of a small model
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from click.testing import CliRunner

import veca_edge
from tests.paths import CLIP
from veca_edge.arrays import Float
from veca_edge.cli.main import main as command_line
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.modelfile.pte import read_model_file
from veca_edge.photos.samples import sample_images
from veca_edge.runtime import trust
from veca_edge.runtime.engines.executorch import Program
from veca_edge.runtime.model import Model
from veca_edge.runtime.result import Result

TINY = "tiny"  # the small model: its checkpoint is converted and verified
SIZE = 128  # pixels
FRAMES = 5
PHOTOS = 2

Found = dict[str, Float]


def resized() -> Found:
    """A photo at sizes above and below its own, and a frame of noise in small."""
    noise = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    pictures = {"photo": (sample_images()[0], (96, 256, 384)), "noise": (noise, (128, 256))}
    return {
        f"resized {name}, {size} px": Preprocessing(fit="stretch").resize(image, 16, size).image.astype(np.float32)
        for name, (image, sizes) in pictures.items()
        for size in sizes
    }


def named(result: Result) -> Found:
    """What a result holds, by name."""
    logits = np.zeros(1, np.float32) if result.logits is None else result.logits
    return {"features": result.features, "embedding": result.embedding, "logits": logits}


def calls(model: Model) -> Found:
    found: Found = {}
    for cores in model.budgets:
        for number, photo in enumerate(sample_images()[:PHOTOS]):
            result = named(model(photo, cores, image_size=SIZE))
            found |= {f"call, {cores} cores, photo {number}: {name}": value for name, value in result.items()}
    return found


def whole_image(path: Path) -> Found:
    """The method that phones call: an image of the file's own size, eight cores."""
    file = read_model_file(path)
    image = file.manifest.preprocessing.resize(sample_images()[0], file.manifest.patch_size).image
    program = Program(file, threads=1)
    _, features, logits = program.run("cores_8", [image.astype(np.float32)])
    found = {"cores_8: features": features.copy(), "cores_8: logits": logits[0].copy()}
    program.close()  # and with it the memory of what it gave
    return found


def stream(model: Model) -> Found:
    found: Found = {}
    over = model.stream(cores=8, image_size=SIZE)
    with veca_edge.open_source(str(CLIP)) as clip:
        for number, frame in zip(range(FRAMES), clip, strict=False):
            result = named(over.update(frame.image))
            found |= {f"stream, frame {number}: {name}": value for name, value in result.items()}
    return found


def commands(folder: Path, output: Path) -> Found:
    """Exit statuses and what was written; what they say goes to standard error."""
    made, log = output.with_name(f"{TINY}.pte"), output.with_name("frames.jsonl")
    checkpoint = folder / f"{TINY}.pt"
    headless = ["--headless", "--frames", 3, "--cores", 8, "--log", log]
    asked = {
        "run": ["run", folder / "int8.pte", "--source", CLIP, *headless],
        "convert": ["convert", checkpoint, "--output", made, "--no-evaluate"],
        "verify": ["verify", made, "--checkpoint", checkpoint],
    }
    found: Found = {}
    for name, words in asked.items():
        done = CliRunner().invoke(command_line, list(map(str, words)))
        print(name, done.exit_code, done.output, done.exception or "", file=sys.stderr)
        found[f"exit status of {name}"] = np.full(1, done.exit_code, np.float32)
    return found


def main(folder: Path, output: Path) -> None:
    trust.TIMEOUT = 1200.0  # an emulated processor is slow, the more so beside other work
    found = resized()
    for path in sorted(folder.glob("*.pte")):
        if path.stem != "int8":  # which is tried in a child process first
            trust.remember(read_model_file(path))
        model = veca_edge.load(path, threads=1)
        here = calls(model) | stream(model)
        model.close()
        found |= {f"{path.stem}, {name}": value for name, value in (here | whole_image(path)).items()}
    np.savez(output, **(found | commands(folder, output)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
