"""A dense head on a frozen model: fitted to views of photos with masks or values, and evaluated on others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veca_edge.arrays import Float
from veca_edge.errors import VecaError
from veca_edge.image.preprocessing import Preprocessing
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.modelfile.heads import DenseHead, DenseTask, check_head_name
from veca_edge.photos.masks import MaskedPhotos, Pair
from veca_edge.runtime.model import of_checkpoint
from veca_edge.training.dense import DenseLayer, detail, new_task
from veca_edge.training.heads.cache import FeatureCache, Half, photo_key
from veca_edge.training.heads.evaluation import Point, PointScores, evaluate_dense
from veca_edge.training.heads.features import MAX_BYTES, Extractor, model_identity
from veca_edge.training.heads.offsets import PLACES, class_offsets
from veca_edge.training.masks import (
    MaskStore,
    centre_squares,
    draw_squares,
    load_masked,
    sample_targets,
)

LOOKS = 6_000  # views that a small set is looked at in, all photos together
MOST_VIEWS, FEWEST_VIEWS = 16, 2  # of one photo
# Area of the smallest crop, as a share of the largest square in the photo: a head is asked about whole pictures.
SMALLEST = 0.45
SPARE = 1.5  # pixels that photos are kept with, as a multiple of the model's: crops are enlarged less

MOST_STEPS = 2_000
EPOCHS, BATCH, RATE, DECAY, WARM_UP = 14, 16, 1e-2, 1e-2, 0.1
Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class FittedDense:
    """A checkpoint with its new dense head, and how good that is.

    Attributes:
        checkpoint: the frozen model with the head beside the others that it had.
        task: what the head says.
        train, val: photos that could be used.
        views: that the head was fitted on.
        points: scores on val by ascending core budget.
    """

    checkpoint: Checkpoint
    task: DenseTask
    train: int
    val: int
    views: int
    points: tuple[PointScores, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "head": {"name": self.task.name} | self.task.to_dict(),
            "photos": {"train": self.train, "val": self.val},
            "views": self.views,
            "budgets": [point.to_dict() for point in self.points],
        }


@dataclass(frozen=True, eq=False)
class _Views:
    """What the head looks at.

    Attributes:
        rows: int64 (v,), the photo of each view.
        boxes: (v, 4), its crop.
        cores: int64 (v,), its core budget.
    """

    rows: NDArray[np.int64]
    boxes: Float
    cores: NDArray[np.int64]


def fit_dense(
    checkpoint: Checkpoint,
    photos: MaskedPhotos,
    name: str,
    cells: int = 4,
    image_size: int | None = None,
    budgets: Sequence[int] | None = None,
    say: Say = lambda _: None,
    progress: Progress = lambda *_: None,
) -> FittedDense:
    """Fit one linear layer for all patches and all core budgets; the model itself stays as it is.

    Args:
        checkpoint: the model; its other heads stay, one of the same name is replaced.
        photos: with targets, to learn from and to evaluate on.
        name: of the head.
        cells: k; each patch gets k x k results. 1 is the linear probe of the literature.
        image_size: pixels of a view and of the evaluation; None for the checkpoint's.
        budgets: core counts; None for those that the model was trained for.
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: an image size, budget, name or number of cells that is impossible, no photo that can be used, too
            many views for the memory, or a model that computes no numbers.
    """
    check_head_name(name)
    config = checkpoint.config
    chosen = tuple(sorted({config.check_cores(count) for count in budgets or config.budgets}))
    size = image_size or int(checkpoint.preprocessing["image_size"])
    extractor = Extractor(checkpoint, Preprocessing.from_dict({**checkpoint.preprocessing, "image_size": size}))
    side = round(SPARE * size)
    store = load_masked(photos.train, photos.meaning, side, say, partial(progress, "reading photos"))
    task = new_task(name, cells, photos.meaning, store)
    pairs = [photos.train[index] for index in store.kept]
    views = _draw(pairs, store, chosen)
    features = _features(checkpoint, extractor, store, pairs, views, size, say, partial(progress, "features"))
    head = _fit(task, store, views, features, progress)
    others = tuple(dense for dense in checkpoint.dense if dense.task.name != name)
    dense = tuple(sorted((*others, head), key=lambda dense: dense.task.name))
    fitted = replace(checkpoint, dense=dense, digest="", path=None)
    model = of_checkpoint(fitted, name)
    points = [Point(cores, size) for cores in chosen]
    scores = evaluate_dense(model, name, photos, points, say, partial(progress, "evaluating"))
    return FittedDense(fitted, task, len(store), len(photos.val), len(views.rows), scores)


def _draw(pairs: Sequence[Pair], store: MaskStore, budgets: tuple[int, ...]) -> _Views:
    """Views of all photos: one of the middle, the others anywhere, each at a budget of its own.

    What is drawn depends on a photo's name alone, so that kept features stay useful when photos come or go.
    """
    count = int(np.clip(LOOKS // len(pairs), FEWEST_VIEWS, MOST_VIEWS))
    boxes = [centre_squares(store.sizes)]
    cores = []
    for row, pair in enumerate(pairs):
        generator = np.random.default_rng(
            list(hashlib.sha256(pair.image.name.encode(errors="surrogateescape")).digest())
        )
        sizes = np.repeat(store.sizes[row : row + 1], count - 1, axis=0)
        boxes.append(draw_squares(sizes, SMALLEST, generator))
        cores.append(generator.choice(budgets, count))
    middle, anywhere = boxes[0], np.stack(boxes[1:])
    return _Views(
        rows=np.repeat(np.arange(len(pairs)), count),
        boxes=np.concatenate([middle[:, None], anywhere], axis=1).reshape(-1, 4),
        cores=np.concatenate(cores).astype(np.int64),
    )


def _features(
    checkpoint: Checkpoint,
    extractor: Extractor,
    store: MaskStore,
    pairs: Sequence[Pair],
    views: _Views,
    size: int,
    say: Say,
    progress: Callable[[float], None],
) -> Half:
    """Patch features of all views, float16 (v, N, D'): kept on disk, a batch at a time."""
    rows = size // checkpoint.config.patch_size
    width = rows * rows * checkpoint.config.feature_dim
    need = 2 * len(views.rows) * width
    if need > MAX_BYTES:
        raise VecaError(
            f"the features of {len(views.rows)} views take {need / 2**30:.0f} GiB, more than {MAX_BYTES >> 30}: "
            "give fewer photos, or a smaller --image-size"
        )
    values = np.empty((len(views.rows), width), np.float16)
    about = (
        f"dense {size} {SPARE} {model_identity(checkpoint)} {json.dumps(checkpoint.preprocessing, sort_keys=True)}"
    )
    progress(0)
    done = 0
    with FeatureCache(about, width, say) as cache:
        keys = [_key(pairs[row], box) for row, box in zip(views.rows, views.boxes, strict=True)]
        missing = []
        for index, key in enumerate(keys):
            known = cache.read(key).get(int(views.cores[index]))
            if known is None:
                missing.append(index)
            else:
                values[index] = known
                done += 1
        for cores, batch in _batches(missing, views.cores, extractor.batch_size):
            images = store.crop(views.rows[batch], views.boxes[batch], size)
            values[batch] = extractor.dense(images, cores).reshape(len(batch), width)
            cache.write((keys[index], cores, values[index]) for index in batch)
            done += len(batch)
            progress(done / len(values))
    if not missing:
        progress(1)
    return values.reshape(len(values), rows * rows, -1)


def _batches(
    indices: Sequence[int], cores: NDArray[np.int64], most: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Views of one core count at a time."""
    chosen = np.asarray(indices, np.int64)
    for count in np.unique(cores[chosen]):
        those = chosen[cores[chosen] == count]
        for start in range(0, len(those), most):
            yield int(count), those[start : start + most]


def _key(pair: Pair, box: Float) -> bytes:
    return hashlib.sha256(photo_key(pair.image) + box.tobytes()).digest()[:16]


def _fit(task: DenseTask, store: MaskStore, views: _Views, features: Half, progress: Progress) -> DenseHead:
    """AdamW on standardised features, which is folded into the layer in the end; then the classes' offsets."""
    torch.manual_seed(0)
    sample = torch.from_numpy(features[:: max(1, len(features) // 500)]).float().flatten(0, 1)
    mean, deviation = sample.mean(0), sample.std(0) + 1e-6
    layer = DenseLayer(features.shape[2], task, store)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=RATE, weight_decay=DECAY)
    batch = min(BATCH, len(features))
    steps = min(MOST_STEPS, EPOCHS * (len(features) // batch))
    targets = sample_targets(store, views.rows, views.boxes, detail(task, round(features.shape[1] ** 0.5)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=WARM_UP)

    def standardised(rows: NDArray[np.int64]) -> Tensor:
        return (torch.from_numpy(features[rows]).float() - mean) / deviation

    for step, rows in enumerate(islice(_shuffled(len(features), batch, EPOCHS), steps)):
        optimizer.zero_grad()
        layer.loss(standardised(rows), targets[rows]).backward()
        optimizer.step()
        schedule.step()
        progress("fitting", (step + 1) / steps)
    if task.kind == "segmentation":
        some = np.arange(0, len(features), -(-targets.numel() // PLACES))
        _balance(layer, standardised(some), targets[some], partial(progress, "class borders"))
    head = layer.head()
    folded = torch.from_numpy(head.weight) / deviation
    offset = torch.from_numpy(head.bias) - folded @ mean
    weight, bias = (part.half().float().numpy() for part in (folded, offset))  # as a checkpoint keeps them
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise VecaError(
            "no weights that half precision holds were found for the head: are the targets those of these photos, "
            "and values in a unit in which they are thousands at most?"
        )
    return DenseHead(task, weight, bias)


def _balance(layer: DenseLayer, features: Tensor, targets: Tensor, progress: Callable[[float], None]) -> None:
    """Move the borders between classes to where the mean IoU of these views is best."""
    with torch.no_grad():
        logits = layer.enlarged(features, targets.shape[-1]).movedim(1, -1).flatten(0, 2)
        offsets = class_offsets(logits.numpy(), targets.flatten().numpy(), progress)
        layer.linear.bias += torch.from_numpy(offsets).repeat_interleave(layer.task.cells**2)


def _shuffled(count: int, batch: int, epochs: int) -> Iterator[NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    for _ in range(epochs):
        order = generator.permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield np.sort(order[start : start + batch])
