"""Photos to calibrate with: some to learn rounding from, others to evaluate on, squared as the model sees them."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.arrays import Image
from veca_edge.errors import VecaError, require
from veca_edge.files import shortened
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.model.flops import model_gflops
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos, read_any_folder
from veca_edge.photos.masks import read_if_masked
from veca_edge.photos.samples import packaged_folder

if TYPE_CHECKING:
    from veca_edge.model.checkpoint import Checkpoint

LEARN = 128  # images that tell enough of what layers see
EVALUATION_GFLOPS = 256.0  # of a pass over the images that are evaluated on: seconds
FEWEST, MOST = 16, 256  # images to evaluate on
SEED = 0
MOST_BYTES = 2**30  # of pixels in memory, for each of the two


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Photos as the model sees them.

    Attributes:
        pixels: uint8 (n, S, S, 3), RGB.
        targets: int64 (n,), index into the model's labels; None if any photo has no label that the model knows.
        digest: SHA-256 of the list: file names with their folders, targets, and S. Not of the pixels.
    """

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64] | None
    digest: str

    def __len__(self) -> int:
        return len(self.pixels)

    def first(self, count: int) -> PhotoSet:
        """At most so many of them; they are in random order."""
        return replace(
            self, pixels=self.pixels[:count], targets=None if self.targets is None else self.targets[:count]
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """Photos to learn from, others to evaluate on, and where they are from."""

    learn: PhotoSet
    evaluate: PhotoSet
    source: str

    def to_dict(self) -> dict[str, Any]:
        """What a report says of them; ready for JSON."""
        return {
            "source": self.source,
            "seed": SEED,
            **{
                name: {"photos": len(part), "labelled": part.targets is not None, "digest": part.digest}
                for name, part in (("learn", self.learn), ("evaluate", self.evaluate))
            },
        }


def read_calibration(
    checkpoint: Checkpoint, folder: Path | None, count: int | None = None, say: Say = lambda _: None
) -> Calibration:
    """Read calibration images.

    A folder of images, or of folders of images named after labels, or with `train` and `val` folders of those: then
    train is learned from, and val evaluated on. Otherwise half of the images are for each. A seeded draw picks. Of
    a folder with targets (`photos.masks`) the photos are read.

    Args:
        checkpoint: says how images are fitted, and which labels the model knows.
        folder: the images; None for the packaged samples.
        count: most images to learn from, and most to evaluate on; None for 128, and for 16 to 256 by the model's
            cost.
        say: receives lines about what was skipped or left aside.

    Raises:
        VecaError: no such folder, or fewer than two images in it that can be read.
    """
    require("cv2", "run")
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    if preprocessing.fit == "keep":  # a batch has one shape
        preprocessing = replace(preprocessing, fit="crop")
    most_of_each = (LEARN, _evaluation_photos(checkpoint)) if count is None else (count, count)
    with packaged_folder() if folder is None else nullcontext(folder) as place:
        masked = read_if_masked(place, say, SEED)
        parts = read_any_folder(place, say, SEED) if masked is None else masked.photos(SEED)
        learn, evaluate = (
            _read(photos, checkpoint, preprocessing, most, say)
            for photos, most in zip(parts, most_of_each, strict=True)
        )
    return Calibration(learn, evaluate, "packaged samples" if folder is None else shortened(folder))


def _evaluation_photos(checkpoint: Checkpoint) -> int:
    return min(MOST, max(FEWEST, int(EVALUATION_GFLOPS / gflops_of(checkpoint))))


def gflops_of(checkpoint: Checkpoint) -> float:
    """What one photo costs with all cores at the checkpoint's own size."""
    size = int(checkpoint.preprocessing["image_size"])
    return model_gflops(checkpoint.config, size, checkpoint.config.num_cores)


def _read(photos: Photos, checkpoint: Checkpoint, preprocessing: Preprocessing, count: int, say: Say) -> PhotoSet:
    """Decode photos until there are `count`; those that cannot be read are named and skipped."""
    count = min(count, max(1, MOST_BYTES // (3 * preprocessing.image_size**2)))

    def prepare(image: Image) -> Image:
        return preprocessing.resize(image, checkpoint.config.patch_size).image

    with closing(readable(photos.paths, prepare, say)) as found:
        kept = list(islice(found, count))
    if not kept:
        raise VecaError(f"none of the {len(photos)} images to calibrate with could be read")
    chosen = photos.select([index for index, _ in kept])
    pixels = np.stack([image for _, image in kept])
    return PhotoSet(pixels, _known(chosen, checkpoint.labels), chosen.digest(preprocessing.image_size))


def _known(photos: Photos, labels: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The photos' targets as indices into the model's labels, None if one is not among them."""
    names = photos.label_names()
    if not set(names) <= set(labels):
        return None
    return np.array([labels.index(name) for name in names if name is not None], np.int64)
