"""What a conversion finds out about the vectors of a checkpoint: what those of all photos have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from veca_edge.image.preprocessing import Preprocessing
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.means import LARGEST, Means
from veca_edge.photos.calibration import EVALUATION_GFLOPS, gflops_of, read_calibration

MOST = 32  # photos of each half; the mean of more is no other
FEWEST = 8
STAGE = "averaging photos"


def with_means(
    checkpoint: Checkpoint, data: Path | None, image_size: int, progress: Callable[[str, float], None]
) -> Checkpoint:
    """The checkpoint with the means of its embeddings and patch features, with all cores, over photos.

    Without means, if they are not numbers that a manifest can hold.

    Args:
        data: photos, of which some are taken; None for the packaged ones.
        image_size: at which they are computed, in pixels.
        progress: called with the stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: a folder that cannot be read.
    """
    import torch

    sized = replace(checkpoint, preprocessing={**checkpoint.preprocessing, "image_size": image_size})
    most = min(MOST, max(FEWEST, int(EVALUATION_GFLOPS / gflops_of(sized))))
    photos = read_calibration(sized, data, most)
    pixels = np.concatenate([photos.learn.pixels, photos.evaluate.pixels])
    settings = Preprocessing.from_dict(checkpoint.preprocessing)
    mean, std = (torch.tensor(values)[:, None, None] for values in (settings.mean, settings.std))
    model, cores = checkpoint.build(), max(checkpoint.config.budgets)
    embeddings, features = [], []
    with torch.inference_mode():
        for done, image in enumerate(pixels):
            progress(STAGE, done / len(pixels))
            values = torch.from_numpy(image).permute(2, 0, 1).float() / 255
            output = model(((values - mean) / std)[None], cores)
            embeddings.append(output.embedding[0].double().numpy())
            features.append(output.features[0].double().mean(0).numpy())
    progress(STAGE, 1.0)
    with np.errstate(invalid="ignore"):
        found = np.mean([embeddings, features], 1)
    if not np.abs(found).max() <= LARGEST:  # nor is NaN
        return replace(checkpoint, means=None)  # a manifest with these could not be read
    embedding, common = (tuple(mean) for mean in found.tolist())
    return replace(checkpoint, means=Means(embedding, common, len(pixels)))
