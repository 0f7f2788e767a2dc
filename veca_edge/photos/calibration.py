"""Images to calibrate with: some to learn rounding from, others to judge by, squared as the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.errors import VecaError, require
from veca_edge.files import expanded, shortened
from veca_edge.image.preprocessing import Image, Preprocessing
from veca_edge.image.stills import images_in
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.flops import model_gflops
from veca_edge.photos.folders import UNLABELLED, Photos, Skipped, decode_all, has_folders, joined, read_folder

LEARN = 128  # images that tell enough of what layers see
JUDGE_GFLOPS = 256.0  # of a pass over the images that judge: seconds
FEWEST = 2  # one to learn from, one to judge by
SEED = 0
MOST_BYTES = 2**30  # of pixels in memory, for each of the two

Say = Callable[[str], None]


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
    """Photos to learn from, others to judge by, and where they are from."""

    learn: PhotoSet
    judge: PhotoSet
    source: str

    def to_dict(self) -> dict[str, Any]:
        """What a report says of them; ready for JSON."""
        return {
            "source": self.source,
            "seed": SEED,
            **{
                name: {"photos": len(part), "labelled": part.targets is not None, "digest": part.digest}
                for name, part in (("learn", self.learn), ("judge", self.judge))
            },
        }


def read_calibration(
    checkpoint: Checkpoint, folder: Path | None, count: int | None = None, say: Say = lambda _: None
) -> Calibration:
    """Read calibration images.

    A folder of images, or of folders of images named after labels, or with `train` and `val` folders of those: then
    train is learned from and val judges. Otherwise half of the images learn and half judge. A seeded draw picks.

    Args:
        checkpoint: says how images are fitted, and which labels the model knows.
        folder: the images; None for the packaged samples.
        count: most images to learn from, and most to judge by; None for 128, and for 16 to 256 by the model's cost.
        say: receives lines about what was skipped or left aside.

    Raises:
        VecaError: no such folder, or fewer than two images in it that can be read.
    """
    require("cv2", "run")
    preprocessing = Preprocessing.from_dict(checkpoint.preprocessing)
    if preprocessing.fit == "keep":  # a batch has one shape
        preprocessing = replace(preprocessing, fit="crop")
    most_of_each = (LEARN, _judging_photos(checkpoint)) if count is None else (count, count)
    with _folder(folder) as place:
        learn, judge = (
            _read(photos, checkpoint, preprocessing, most, say)
            for photos, most in zip(find_photos(place, say), most_of_each, strict=True)
        )
    return Calibration(learn, judge, "packaged samples" if folder is None else shortened(folder))


def _judging_photos(checkpoint: Checkpoint) -> int:
    return min(256, max(16, int(JUDGE_GFLOPS / gflops_of(checkpoint))))


def gflops_of(checkpoint: Checkpoint) -> float:
    """What one photo costs with all cores at the checkpoint's own size."""
    size = int(checkpoint.preprocessing["image_size"])
    return model_gflops(checkpoint.config, size, checkpoint.config.num_cores)


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with resources.as_file(resources.files("veca_edge.assets") / "photos") as samples:
        yield samples


def find_photos(folder: Path, say: Say) -> tuple[Photos, Photos]:
    """Photos to learn from and to judge by, in random order.

    Raises:
        VecaError: no such folder, or fewer than two images in it.
    """
    folder = expanded(folder)
    if not folder.is_dir():
        raise VecaError(f"{shortened(folder)}: no such folder of images")
    if not has_folders(folder):
        return _halves(_loose(images_in(folder)))
    splits = read_folder(folder, lambda line: None if "held out" in line else say(line), SEED)
    if (folder / "val").is_dir():
        return _shuffled(splits.train), _shuffled(splits.val)
    return _halves(joined([splits.train, splits.val]))


def _loose(paths: Sequence[Path]) -> Photos:
    return Photos(tuple(paths), np.full(len(paths), UNLABELLED, np.int64), ())


def _shuffled(photos: Photos) -> Photos:
    return photos.select(np.random.default_rng(SEED).permutation(len(photos)))


def _halves(photos: Photos) -> tuple[Photos, Photos]:
    if len(photos) < FEWEST:
        raise VecaError(f"{len(photos)} image to calibrate with: give {FEWEST} or more")
    mixed = _shuffled(photos)
    learn = mixed.select(range(0, len(mixed), 2))
    return learn, mixed.select(range(1, len(mixed), 2))


def _read(photos: Photos, checkpoint: Checkpoint, preprocessing: Preprocessing, count: int, say: Say) -> PhotoSet:
    """Decode photos until there are `count`; those that cannot be read are named and skipped."""
    patch_size, pixels, kept = checkpoint.config.patch_size, list[Image](), list[int]()
    count = min(count, max(1, MOST_BYTES // (3 * preprocessing.image_size**2)))

    def prepare(image: Image) -> Image:
        return preprocessing.resize(image, patch_size).image

    with Skipped(say) as skipped:
        for index, photo in enumerate(decode_all(photos.paths, prepare)):
            if isinstance(photo, VecaError):
                skipped(photo)
                continue
            pixels.append(photo)
            kept.append(index)
            if len(kept) == count:
                break
    if not kept:
        raise VecaError(f"none of the {len(photos)} images to calibrate with could be read")
    chosen = photos.select(kept)
    targets = _known(chosen, checkpoint.labels)
    return PhotoSet(np.stack(pixels), targets, chosen.digest(preprocessing.image_size))


def _known(photos: Photos, labels: tuple[str, ...]) -> NDArray[np.int64] | None:
    """The photos' targets as indices into the model's labels, None if one is not among them."""
    by_name = {label: index for index, label in enumerate(labels)}
    if not all(target != UNLABELLED and photos.labels[target] in by_name for target in photos.targets):
        return None
    return np.array([by_name[photos.labels[target]] for target in photos.targets], np.int64)
