"""The pictures that a run shows or saves: a frame, and what the model made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from veca_edge.arrays import Image
from veca_edge.gallery.gallery import Match
from veca_edge.playback.drawing import Box, clip_box
from veca_edge.playback.graph import draw_graph
from veca_edge.playback.legend import draw_legend
from veca_edge.playback.masks import MaskSteadier, paint_dense
from veca_edge.playback.overlay import ACCENT, Hud, draw_hud, draw_labels, draw_lines, draw_match, mark_crop
from veca_edge.playback.painting import FeaturePainter, paint_core_attention
from veca_edge.playback.places import draw_places
from veca_edge.playback.teaching import Taught
from veca_edge.playback.text import Pen
from veca_edge.runtime.dense import DenseResult
from veca_edge.runtime.result import Result

Mix = Callable[[Image, Image], Image]
VIEWS = ("labels", "masks", "features", "attention", "change", "plain")
LABELS_SHOWN = 3
NO_MASKS = [("masks", "this model has no dense head: `veca-edge fit-head --task segmentation` makes one")]
NO_ATTENTION = [("attention", "this model file does not compute it: use a .pte file")]
_OUTSIDE = 0.45  # brightness of what the model did not see


class Renderer:
    """Turns a frame and its result into a picture. Keeps only what steadies the colours between frames."""

    def __init__(self, film: bool = False) -> None:
        """Args:
        film: whether pictures follow each other as in a film, so that masks can be held still.
        """
        self._pen = Pen()
        self._painter = FeaturePainter()
        self._steady = MaskSteadier() if film else None

    def render(
        self,
        view: str,
        image: Image,
        result: Result,
        hud: Hud | None = None,
        head: str | None = None,
        match: Match | None = None,
    ) -> Image:
        """A new picture of the size of `image` (H, W, 3) uint8 RGB, which stays as it is.

        Args:
            view: one of VIEWS.
            hud: numbers to show at the top left, if any.
            head: the dense head that "masks" shows; None for the first.
            match: what a gallery says, which is shown instead of labels; None without a gallery.
        """
        picture: Image
        dense = _dense(result, head) if view == "masks" else None
        if dense is not None and self._steady is not None:
            dense = self._steady(image, dense)
        if view == "features":
            picture = features_view(image, self._painter.paint(result.features), result.crop)
        elif view == "attention" and result.core_attention is not None:
            picture = attention_view(image, paint_core_attention(result.core_attention), result.crop)
        elif view == "change":
            picture = change_view(image, result)
        elif dense is not None:
            picture = masks_view(image, dense)
            pane = draw_legend(picture, dense, dense.task.name if len(result.dense) > 1 else "", self._pen)
            if pane is not None:
                self._label(picture, result, match, pane)
        else:
            picture = image.copy()
        if view == "labels":
            mark_crop(picture, result.crop)
        if view == "attention" and result.core_attention is None:
            draw_lines(picture, NO_ATTENTION, self._pen)
        if view == "masks" and dense is None:
            draw_lines(picture, NO_MASKS, self._pen)
        if view == "labels" and match is not None:
            draw_match(picture, match, self._pen)
        elif view == "labels" and result.logits is not None:
            draw_labels(picture, result.top(LABELS_SHOWN) if result.sure else (), self._pen)
        if hud is not None:
            below = draw_hud(picture, hud, self._pen)
            if hud.graph is not None:
                draw_graph(picture, hud.graph, self._pen, below)
        return picture

    def _label(self, picture: Image, result: Result, match: Match | None, pane: Box) -> None:
        """The name or the label of a picture with masks, above their legend: only one that is sure."""
        if match is not None and match.sure:
            draw_match(picture, match, self._pen, above=pane)
        elif match is None and result.sure:
            draw_labels(picture, result.top(1), self._pen, above=pane)

    def add_places(self, picture: Image, taught: Taught, place: int, typing: str | None) -> Image:
        """A copy of the picture with the names that can be taught, see `draw_places`."""
        copy: Image = picture.copy()
        draw_places(copy, taught, place, typing, self._pen)
        return copy

    def add_lines(self, picture: Image, lines: Sequence[tuple[str, str]]) -> Image:
        """A copy of the picture with a card of (key, meaning) lines in the middle."""
        copy: Image = picture.copy()
        draw_lines(copy, lines, self._pen)
        return copy


def features_view(image: Image, colours: Image, crop: Box) -> Image:
    """Patch colours (rows, columns, 3), smooth, shaded by the frame's own light so that edges stay crisp."""
    import cv2

    def mix(seen: Image, paint: Image) -> Image:
        # In 8 bits throughout: at 4K this is several times faster than floats.
        grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
        coarse = (max(1, grey.shape[1] // 24), max(1, grey.shape[0] // 24))
        local = cv2.blur(cv2.resize(grey, coarse, interpolation=cv2.INTER_AREA), (3, 3))
        local = cv2.resize(local, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
        shade = np.maximum(cv2.addWeighted(grey, 1.1, local, -1.1, 128), 45)  # 128 leaves a colour as it is
        mixed: Image = cv2.multiply(paint, cv2.merge([shade] * 3), scale=1 / 128)
        return mixed

    return _over_crop(image, colours, crop, cv2.INTER_CUBIC, mix)


def attention_view(image: Image, colours: Image, crop: Box) -> Image:
    """Patch colours (rows, columns, 3) as tiles over the frame in grey."""
    import cv2

    def mix(seen: Image, paint: Image) -> Image:
        grey = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
        shade = cv2.convertScaleAbs(grey, alpha=0.62, beta=128)
        mixed: Image = cv2.multiply(paint, cv2.merge([shade] * 3), scale=1 / 255)
        return mixed

    return _over_crop(image, colours, crop, cv2.INTER_NEAREST, mix)


def change_view(image: Image, result: Result) -> Image:
    """The patches computed for this frame in their own colours under a tint, the remembered ones in grey."""
    import cv2

    computed = result.computed
    if computed is None:
        computed = np.ones(result.features.shape[:2], np.bool_)
    marks = np.where(computed[..., None], np.array(ACCENT, np.uint8), np.uint8(0))

    def mix(seen: Image, paint: Image) -> Image:
        grey = cv2.convertScaleAbs(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), alpha=0.6)
        tinted = cv2.addWeighted(seen, 0.72, paint, 0.28, 0)
        mixed: Image = np.where(paint[..., 1:2] > 0, tinted, cv2.merge([grey] * 3))
        return mixed

    return _over_crop(image, marks, result.crop, cv2.INTER_NEAREST, mix)


def masks_view(image: Image, dense: DenseResult) -> Image:
    """The frame with a dense head's classes or values over it."""
    picture, (x, y, width, height) = _dimmed(image), clip_box(dense.crop, image.shape[1], image.shape[0])
    if width and height:
        seen = picture[y : y + height, x : x + width]
        seen[:] = image[y : y + height, x : x + width]
        paint_dense(seen, dense, (x - dense.crop[0], y - dense.crop[1], width, height))
    return picture


def views_for(heads: Sequence[str]) -> tuple[str, ...]:
    """The views of a model with these dense heads."""
    return tuple(view for view in VIEWS if heads or view != "masks")


def _dense(result: Result, head: str | None) -> DenseResult | None:
    """What this head says, or the first one if there is none of this name; None without any."""
    name = head if head in result.dense else next(iter(result.dense), None)
    return None if name is None else result.dense[name]


def _dimmed(image: Image) -> Image:
    """The frame as it looks where the model saw nothing."""
    import cv2

    dimmed: Image = cv2.convertScaleAbs(image, alpha=_OUTSIDE)
    return dimmed


def _over_crop(image: Image, colours: Image, crop: Box, method: int, mix: Mix) -> Image:
    """Lay colours (rows, columns, 3) over `crop`, which may reach past the image; dim the rest."""
    import cv2

    x, y, width, height = clip_box(crop, image.shape[1], image.shape[0])
    picture = _dimmed(image)
    if not width or not height:
        return picture
    paint: Image = cv2.resize(colours, (crop[2], crop[3]), interpolation=method)
    paint = paint[y - crop[1] : y - crop[1] + height, x - crop[0] : x - crop[0] + width]
    picture[y : y + height, x : x + width] = mix(image[y : y + height, x : x + width], paint)
    return picture
