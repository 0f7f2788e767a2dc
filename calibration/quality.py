"""What each operating point keeps of the best result: the table that the governor chooses by.

The reference is the checkpoint in float32 with all cores at the largest image size, every frame in full. Streams
see a clip frame by frame; photos count as much as the clip.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import veca_edge
from calibration.tables import agreement, freshness_of, look, mean_agreement
from converters.samples import sample_images
from veca_edge.errors import VecaError
from veca_edge.governor import QualityTable
from veca_edge.governor.quality import QualityRow, Way
from veca_edge.model.checkpoint import Checkpoint, write_checkpoint
from veca_edge.runtime.child import child_command
from veca_edge.runtime.manifest import Manifest
from veca_edge.runtime.modelfile import ModelFile, read_model_file
from veca_edge.runtime.profile import clip_frames, opener

CORES = (8, 16, 32, 64)
IMAGE_SIZES = (128, 192, 256)
PATCH_BUDGETS = (96, 48, 16)  # beside all patches; always in a stream, which costs little and saves much
FRAMES = 48  # of the clip
STRIDE = 2  # every second frame is compared; streams see them all
CLIP_RATE = 30.0

Image = NDArray[np.uint8]


def ways_of(manifest: Manifest) -> list[Way]:
    """The ways of running that a file is judged for: (cores, image size, patch budget), the best first."""
    sizes = {size for size in (*IMAGE_SIZES, manifest.image_size) if size % manifest.patch_size == 0}
    counts = {size: (size // manifest.patch_size) ** 2 for size in sizes}
    cores = [count for count in manifest.budgets if count in CORES] or list(manifest.budgets)
    return [
        (count, size, budget)
        for size in sorted(sizes, reverse=True)
        if counts[size] <= manifest.max_patches
        for budget in (counts[size], *(budget for budget in PATCH_BUDGETS if budget < counts[size]))
        for count in sorted(cores, reverse=True)
    ]


def measure_quality(
    model: veca_edge.Model,
    reference: veca_edge.Model,
    ways: Sequence[Way],
    frames: Sequence[Image],
    photos: Sequence[Image],
    advance: Callable[[float], None] = lambda _: None,
) -> QualityTable:
    """Judge every way of running.

    Args:
        model: from the model file.
        reference: from its checkpoint.
        ways: see `ways_of`; the first is the best.
        frames: of a clip at `CLIP_RATE`, uint8 (H, W, 3), RGB.
        photos: uint8 (H, W, 3), RGB.
        advance: called with how much is done, 0..1.
    """
    cores, size = max(reference.budgets), ways[0][1]
    clip = [look(reference(frame, cores=cores, image_size=size)) for frame in frames[::STRIDE]]
    stills = [look(reference(photo, cores=cores, image_size=size)) for photo in photos]
    open_way, rows, photo_scores = opener(model), [], {}
    for done, way in enumerate(ways):
        run = open_way(way)
        looks = [look(run(frame)) for frame in frames][::STRIDE]
        if way[:2] not in photo_scores:  # one photo after another are keyframes: the budget says nothing
            alone = [look(model(photo, cores=way[0], image_size=way[1])) for photo in photos]
            photo_scores[way[:2]] = agreement(alone, stills)
        rows.append(QualityRow(*way, *mean_agreement(agreement(looks, clip), photo_scores[way[:2]])))
        advance((done + 1) / len(ways))
    return QualityTable(tuple(rows), freshness_of(clip, CLIP_RATE / STRIDE))


def quality_in_child(
    file: ModelFile, checkpoint: Checkpoint, progress: Callable[[float], None] = lambda _: None
) -> dict[str, Any]:
    """Measure in a child process, for `Manifest.quality`.

    Args:
        file: on disk.
        checkpoint: its source.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: the child failed.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        source = Path(folder) / "source.pt"
        write_checkpoint(checkpoint, source, half=False)
        command = child_command("calibration.quality", str(file.path.resolve()), str(source))
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            last: dict[str, Any] = {}
            for line in child.stdout or ():
                last = json.loads(line)
                if "done" in last:
                    progress(last["done"])
        finally:
            child.kill()
            status = child.wait()
        if status or "rows" not in last:
            errors.seek(0)
            said = errors.read().strip().splitlines()
            raise VecaError(said[-1] if said else f"{file.path}: its quality could not be measured")
    return last


def _main(path: str, source: str) -> None:
    """The child: progress and result as JSON lines."""

    def advance(done: float) -> None:
        print(json.dumps({"done": done}), flush=True)

    file = read_model_file(path)
    model, reference = veca_edge.load(path), veca_edge.load(source)
    frames, photos = clip_frames(FRAMES), sample_images()
    table = measure_quality(model, reference, ways_of(file.manifest), frames, photos, advance)
    about = f"{len(frames)} frames of a clip and {len(photos)} photos, against the checkpoint in fp32"
    print(json.dumps(table.to_dict() | {"about": about}), flush=True)


if __name__ == "__main__":
    try:
        _main(*sys.argv[1:])
    except VecaError as error:
        sys.exit(str(error))
