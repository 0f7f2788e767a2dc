"""A picture of how often each label is mistaken for each other label."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veca_edge.plotting import FAINT, INK, figure
from veca_edge.training.heads.metrics import Targets

MOST_LABELS = 80  # in one picture: more cannot be read
INCHES_PER_LABEL = 0.17
LEAST_INCHES = 4.4  # room for the title above a few labels


def draw_confusion(path: Path, answers: Targets, targets: Targets, labels: tuple[str, ...], about: str) -> None:
    """Draw how often photos of each label are mistaken for each other label.

    If there are more than 80 labels, those with the most mistakes are shown.

    Args:
        path: its ending says the format: .png, .svg, .pdf.
        answers: int64 (n,), the most likely label of each photo.
        targets: int64 (n,), the right ones.
        labels: K names.
        about: above the picture.

    Raises:
        VecaError: matplotlib is not installed, or the picture cannot be written.
    """
    shown = _shown(answers, targets, len(labels))
    shares = confusion_shares(answers, targets, shown)
    side = max(LEAST_INCHES, 2.6 + INCHES_PER_LABEL * len(shown))
    with warnings.catch_warnings():
        # Labels are arbitrary text: letters that the font lacks are no reason for a warning.
        warnings.filterwarnings("ignore", message="Glyph")
        with figure(path, size=(side, side), font=8) as (drawn, ((axis,),)):
            _paint(axis, shares, [labels[i] for i in shown])
            # Over the whole picture: beside long names the axes are narrower than the title.
            drawn.suptitle(about, x=0.02, ha="left", color=INK, fontsize=11, parse_math=False)


def confusion_shares(answers: Targets, targets: Targets, shown: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the photos of each shown label (row), the share with each shown label as answer (column).

    Args:
        answers, targets: (n,).
        shown: the indices of k labels, ascending.

    Returns:
        float64 (k, k), 0..1; a row sums to less than 1 if labels that are not shown are among its answers.
    """
    matrix = np.zeros((len(shown), len(shown)))
    row, column = np.searchsorted(shown, targets), np.searchsorted(shown, answers)
    there = np.isin(targets, shown) & np.isin(answers, shown)
    np.add.at(matrix, (row[there], column[there]), 1)
    photos = np.bincount(row[np.isin(targets, shown)], minlength=len(shown))
    return np.asarray(matrix / np.maximum(photos, 1)[:, None])


def _shown(answers: Targets, targets: Targets, labels: int) -> NDArray[np.int64]:
    """The labels in the picture: all of them, or those that take part in the most mistakes."""
    wrong = answers != targets
    mistakes = np.bincount(np.concatenate((answers[wrong], targets[wrong])), minlength=labels)
    return np.sort(np.argsort(-mistakes, kind="stable")[:MOST_LABELS])


def _paint(axis: Any, shares: NDArray[np.float64], names: list[str]) -> None:
    axis.imshow(shares, cmap="BuGn", vmin=0, vmax=1)
    places = range(len(names))
    axis.set_xticks(places, names, rotation=90, parse_math=False)
    axis.set_yticks(places, names, parse_math=False)
    axis.set_xticks([place - 0.5 for place in places[1:]], minor=True)
    axis.set_yticks([place - 0.5 for place in places[1:]], minor=True)
    axis.grid(visible=False)
    axis.grid(which="minor", color=FAINT, lw=0.3)
    axis.tick_params(which="both", length=0)
    axis.spines[["top", "right"]].set_visible(True)
    axis.set_xlabel("answer", color=INK)
    axis.set_ylabel("label", color=INK)
    for row, column in np.argwhere(shares >= 0.095):
        colour = "white" if shares[row, column] > 0.6 else INK
        text = f"{100 * shares[row, column]:.0f}"
        axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=5)
