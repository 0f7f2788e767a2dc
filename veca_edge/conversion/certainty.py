"""What a conversion finds out about how sure the checkpoint's head must be of a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from veca_edge.errors import VecaError
from veca_edge.files import shortened
from veca_edge.image.skipping import Say
from veca_edge.model.checkpoint import Checkpoint
from veca_edge.photos.calibration import SEED
from veca_edge.photos.folders import Photos, read_any_folder
from veca_edge.photos.masks import holds_masks
from veca_edge.photos.unknown import read_unknown
from veca_edge.training.heads.certainty import labelled_for, measure_certainty


def with_certainty(
    checkpoint: Checkpoint,
    data: Path | None,
    unknown: Path | None,
    image_size: int,
    budgets: Sequence[int],
    say: Say,
    progress: Callable[[str, float], None],
) -> Checkpoint:
    """The checkpoint with temperature and threshold for its head, as far as there are photos to fit them on.

    What it carries stands, unless there are photos of other things.

    Args:
        data: photos; those with labels are used. None for none.
        unknown: photos of things without a label, None for none.
        image_size, budgets: at which they are computed.
        say: receives lines about photos that are left out.
        progress: called with a stage's name and how much of it is done, 0..1.

    Raises:
        VecaError: photos of other things, and no head or no photo with one of its labels; a folder that cannot be
            read.
    """
    if unknown is None and (data is None or checkpoint.head is None or checkpoint.certainty is not None):
        return checkpoint
    known = None if data is None else _labelled(data, checkpoint)
    if known is None and unknown is None:
        return checkpoint
    if checkpoint.head is None:
        raise VecaError("the checkpoint has no head, so there is no label to be sure of: leave --unknown out")
    if known is None:
        where = "--data" if data is None else shortened(data)
        raise VecaError(
            f"--unknown needs photos of the labels too, and {where} has none: name their folders after them"
        )
    others = None if unknown is None else read_unknown(unknown, checkpoint.labels, say)

    def report(done: float) -> None:
        progress("fitting the threshold", done)

    return replace(
        checkpoint,
        certainty=measure_certainty(checkpoint, known, others, image_size, budgets, say, report),
    )


def _labelled(data: Path, checkpoint: Checkpoint) -> Photos | None:
    """Photos of the head's labels that nothing else is fitted to, None without any."""
    if holds_masks(data) is not None:
        return None
    found = labelled_for(read_any_folder(data, lambda _: None, SEED)[1], checkpoint.labels)
    return found if len(found) else None
