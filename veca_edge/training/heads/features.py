"""Features of photos from a frozen model, the input of a head: computed once per photo and budget, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Image
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.model.veca import VecaOutput
from veca_edge.photos.decoding import readable
from veca_edge.photos.folders import Photos
from veca_edge.training.heads.cache import FeatureCache, Half, photo_key

TOKENS = 2048  # patches and cores in a batch: more is no faster on a CPU, and takes memory
WINDOW = 8  # batches of photos that are decoded before any is computed, so that batches of each budget are full
MAX_BYTES = 4 * 2**30  # of all features together

Progress = Callable[[float], None]
Prepared = list[tuple[int, Image]]  # rows of photos, and their pixels at the model's size


@dataclass(frozen=True, eq=False)
class Features:
    """Inputs of a head, for some photos.

    Attributes:
        photos: the n photos, all of them readable.
        cores: int64 (n, V), the core counts at which each was computed.
        values: float16 (n, V, 2 D'), the embedding beside the mean patch feature; finite.
    """

    photos: Photos
    cores: NDArray[np.int64]
    values: Half

    def select(self, rows: NDArray[np.integer]) -> Features:
        """The photos of these indices."""
        return Features(self.photos.select(rows), self.cores[rows], self.values[rows])


class Extractor:
    """A frozen model without its head."""

    def __init__(self, checkpoint: Checkpoint, preprocessing: Preprocessing) -> None:
        """Build the model.

        Args:
            checkpoint: what to freeze.
            preprocessing: from a photo to the model's input.

        Raises:
            VecaError: the image size does not fit the patches.
        """
        self._model = checkpoint.build()
        self._patch_size = checkpoint.config.patch_size
        self._preprocessing = preprocessing
        self._mean = torch.tensor(preprocessing.mean)[:, None, None]
        self._std = torch.tensor(preprocessing.std)[:, None, None]
        rows, columns = checkpoint.config.patch_grid(preprocessing.image_size, preprocessing.image_size)
        self.batch_size = max(1, TOKENS // (rows * columns + checkpoint.config.num_cores))
        self.width = 2 * checkpoint.config.feature_dim

    def prepare(self, image: Image) -> Image:
        """A photo of any size as the model's input: uint8 (H, W, 3)."""
        return self._preprocessing.resize(image, self._patch_size).image

    def compute(self, images: Sequence[Image], cores: int) -> Half:
        """The features of n prepared photos of one shape: float16 (n, 2 D').

        Raises:
            VecaError: out of memory, or values that half precision cannot hold.
        """
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        return self._compute(
            pixels, cores, lambda found: torch.cat((found.embedding, found.features.mean(dim=1)), dim=-1)
        )

    def dense(self, pixels: Tensor, cores: int) -> Half:
        """The patch features of images, float32 (n, 3, H, W) in 0..1: float16 (n, N, D').

        Raises:
            VecaError: as `compute`.
        """
        return self._compute(pixels, cores, lambda found: found.features)

    def _compute(self, pixels: Tensor, cores: int, choose: Callable[[VecaOutput], Tensor]) -> Half:
        size = self._preprocessing.image_size
        with torch.inference_mode(), _memory_errors(size):
            output = self._model((pixels - self._mean) / self._std, cores)
            vectors: Half = choose(output).half().numpy()
        if not np.isfinite(vectors).all():
            raise VecaError(
                f"at {cores} cores and {size} px the model computes values that are not finite in half precision: "
                "its weights are damaged, use another checkpoint"
            )
        return vectors


def draw_budgets(photos: Photos, budgets: Sequence[int], count: int) -> NDArray[np.int64]:
    """Draw core counts for each photo, all equally likely, none twice for the same photo.

    A photo's draw depends on its label and name alone, and a smaller `count` gives the first of a larger one's: so
    features in the cache stay useful when photos are added or removed.

    Args:
        photos: n photos.
        budgets: core counts.
        count: V, how many each photo gets, at most all of them.

    Returns:
        int64 (n, V).
    """
    choices = np.asarray(budgets, np.int64)
    rows = []
    for path, target in zip(photos.paths, photos.targets, strict=True):
        label = photos.labels[target] if target >= 0 else ""
        name = f"{label}/{path.name}".encode("utf-8", "surrogateescape")
        seed = int.from_bytes(hashlib.sha256(name).digest()[:8], "big")
        rows.append(np.random.default_rng(seed).permutation(choices)[:count])
    return np.stack(rows) if rows else np.empty((0, count), np.int64)


def compute_features(
    checkpoint: Checkpoint,
    preprocessing: Preprocessing,
    photos: Photos,
    cores: NDArray[np.int64],
    say: Say = lambda _: None,
    progress: Progress = lambda _: None,
) -> Features:
    """The features of all photos, taken from the cache or computed.

    It may be interrupted at any time: every complete batch stays in the cache.

    Args:
        checkpoint: the model.
        preprocessing: from a photo to the model's input.
        photos: n photos; those that cannot be read are named and left out.
        cores: (n, V), the core counts for each photo.
        say: receives lines about what is left out.
        progress: called with how much is done, 0..1.

    Raises:
        VecaError: too many features for the memory, out of memory, or a model with damaged weights.
    """
    extractor = Extractor(checkpoint, preprocessing)
    size = cores.size * extractor.width * 2
    if size > MAX_BYTES:
        raise VecaError(
            f"the features of {len(photos)} photos at {cores.shape[1]} budgets each take {size / 2**30:.0f} GiB, "
            f"more than {MAX_BYTES >> 30}: give fewer --cores or fewer photos"
        )
    about = f"{model_identity(checkpoint)} {json.dumps(preprocessing.to_dict())}"
    with FeatureCache(about, extractor.width, say) as cache:
        return _Work(extractor, cache, photos, cores, say).run(progress)


class _Work:
    """One call of `compute_features`."""

    def __init__(
        self, extractor: Extractor, cache: FeatureCache, photos: Photos, cores: NDArray[np.int64], say: Say
    ) -> None:
        self._extractor, self._cache, self._say = extractor, cache, say
        self._photos, self._cores = photos, cores
        self._values = np.empty((*cores.shape, extractor.width), np.float16)
        self._keys: list[bytes] = []
        self._missing: dict[int, set[int]] = {}  # row of a photo to core counts

    def run(self, progress: Progress) -> Features:
        progress(0)
        self._look_up()
        unreadable, total, done = set(self._missing), sum(map(len, self._missing.values())), 0
        for window in self._windows():
            for cores in np.unique(self._cores):
                for batch in self._batches(window, int(cores)):
                    self._compute(batch, int(cores))
                    done += len(batch)
                    if done < total:
                        progress(done / total)
            unreadable.difference_update(row for row, _ in window)
        progress(1)
        everything = Features(self._photos, self._cores, self._values)
        if not unreadable:
            return everything
        return everything.select(np.array([row for row in range(len(self._photos)) if row not in unreadable], int))

    def _look_up(self) -> None:
        for row, path in enumerate(self._photos.paths):
            try:
                self._keys.append(photo_key(path))
            except OSError:
                self._keys.append(b"")  # removed since it was found: decoding will report it
            known = self._cache.read(self._keys[row])
            for index, cores in enumerate(self._cores[row].tolist()):
                if cores in known:
                    self._values[row, index] = known[cores]
                else:
                    self._missing.setdefault(row, set()).add(cores)

    def _windows(self) -> Iterator[Prepared]:
        """Photos of which features are missing, decoded, some batches at a time."""
        rows = list(self._missing)
        photos = readable([self._photos.paths[row] for row in rows], self._extractor.prepare, self._say)
        while window := list(islice(photos, WINDOW * self._extractor.batch_size)):
            yield [(rows[index], image) for index, image in window]

    def _batches(self, window: Prepared, cores: int) -> Iterator[Prepared]:
        """Those of a window that lack a core count, by shape: one shape, unless photos keep their aspect ratio."""
        wanted = [(row, image) for row, image in window if cores in self._missing[row]]
        for shape in {image.shape for _, image in wanted}:
            these = (pair for pair in wanted if pair[1].shape == shape)
            while batch := list(islice(these, self._extractor.batch_size)):
                yield batch

    def _compute(self, batch: Prepared, cores: int) -> None:
        vectors = self._extractor.compute([image for _, image in batch], cores)
        rows = [row for row, _ in batch]
        self._values[rows, np.argmax(self._cores[rows] == cores, axis=1)] = vectors
        self._cache.write((self._keys[row], cores, v) for row, v in zip(rows, vectors, strict=True))


def model_identity(checkpoint: Checkpoint) -> str:
    """A digest of the model without its head, which makes no difference to features."""
    digest = hashlib.sha256(json.dumps(checkpoint.config.to_published(), sort_keys=True).encode())
    for name in sorted(checkpoint.state):
        digest.update(name.encode())
        digest.update(checkpoint.state[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _memory_errors(image_size: int) -> Iterator[None]:
    """Turns PyTorch's various out-of-memory errors into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise VecaError(f"out of memory at {image_size} px: use a smaller --image-size") from None
