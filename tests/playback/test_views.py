from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tests.fakes import FakeModel, picture, streamed
from veca_edge.arrays import Float
from veca_edge.modelfile.certainty import Certainty
from veca_edge.playback.overlay import Hud, draw_hud, draw_labels, text_size
from veca_edge.playback.painting import FeaturePainter, core_colours, paint_core_attention
from veca_edge.playback.text import BOLD, REGULAR, Pen, to_ascii
from veca_edge.playback.views import VIEWS, Renderer, attention_view, change_view, features_view
from veca_edge.runtime.result import Prediction

HUD = Hud(16, (8, 16, 32, 64), 0.0123, 29.7, (64, 64))
SIZES = [(120, 160), (360, 640), (640, 360), (2160, 3840), (48, 64), (1, 1), (120, 1000)]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("size", SIZES)
def test_every_view_at_every_size(view: str, size: tuple[Any, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = image.copy()
    result = FakeModel()(image, cores=16)
    rendered = Renderer().render(view, image, result, HUD)
    assert rendered.shape == image.shape
    assert rendered.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "keep"])
@pytest.mark.parametrize("view", ["features", "attention"])
def test_overlays_cover_what_the_model_saw_and_only_that(frames: list[Any], fit: str, view: str) -> None:
    image = frames[60].image
    result = FakeModel(fit=fit)(image, cores=16)
    rendered = Renderer().render(view, image, result).astype(int)
    dimmed = np.rint(image * 0.45).astype(int)
    same = (np.abs(rendered - dimmed) <= 1).all(-1)
    assert same[:, :130].all() == (fit == "crop")
    assert same[:, 140:500].mean() < 0.05


def test_plain_view_without_numbers_is_the_frame(frames: list[Any]) -> None:
    image = frames[0].image
    rendered = Renderer().render("plain", image, FakeModel()(image, cores=8))
    assert rendered is not image
    np.testing.assert_array_equal(rendered, image)


def test_model_without_a_head_shows_no_labels() -> None:
    image = picture(90, 240, 240)
    rendered = Renderer().render("labels", image, FakeModel(head=False)(image, cores=8))
    np.testing.assert_array_equal(rendered, image)


def test_a_model_that_is_not_sure_says_so_and_shows_no_label() -> None:
    image = picture(90, 360, 640)
    results = [replace(FakeModel()(image, cores=8), certainty=Certainty(threshold=t)) for t in (0.6, 0.8, 0.9)]
    sure, unsure, as_unsure = (Renderer().render("labels", image, result) for result in results)
    np.testing.assert_array_equal(unsure, as_unsure)
    green = (unsure[..., 1] > 200) & (unsure[..., 0] < 130)  # the bar of a probability
    assert not green.any()
    assert (unsure != image).sum() < 0.6 * (sure != image).sum()  # a card of one row
    assert unsure[320:350, 25:200].max() > 180  # with words in it


@pytest.mark.parametrize("background", [0, 128, 255])
def test_text_is_readable_on_any_background(background: int) -> None:
    image = picture(background, 360, 640)
    draw_labels(image, [Prediction("hat", 0.5)], Pen())
    card = image[330:345, 25:200]  # inside the card: letters near white, glass much darker
    assert card.max() > 230
    assert np.median(card) < 90


def test_probability_sets_the_length_of_the_bar() -> None:
    def lit(probability: float) -> int:
        image = picture(0, 360, 640)
        draw_labels(image, [Prediction("hat", probability)], Pen())
        green = (image[..., 1] > 200) & (image[..., 0] < 130)
        return int(green.sum(axis=1).max())

    assert lit(0.0) == 0
    assert lit(1.0) == pytest.approx(2 * lit(0.5), abs=4)
    assert lit(7.0) == lit(1.0)


def test_budget_bar_shows_the_share_in_use() -> None:
    def lit(cores: int) -> int:
        image = picture(0, 360, 640)
        draw_hud(image, Hud(cores, (8, 16, 32, 64), 0.01, 30.0, (64, 64)), Pen())
        return int(((image[..., 1] > 200) & (image[..., 0] < 130)).sum())

    assert lit(8) > 0
    assert lit(64) == pytest.approx(4 * lit(8), rel=0.2)
    assert lit(8) < lit(16) < lit(32) < lit(64)


def test_hud_stays_inside_a_small_frame_and_keeps_its_note() -> None:
    image = picture(255, 120, 160)
    draw_hud(image, Hud(64, (64,), 0.0123, 29.7, (256, 256), None, "paused"), Pen())
    assert (image[:, -4:] == 255).all()
    assert (image[60:] == 255).all()


def test_text_grows_with_the_frame() -> None:
    sizes = [text_size(picture(0, h, w)) for h, w in ((120, 160), (360, 640), (1080, 1920), (2160, 3840))]
    assert sizes == sorted(sizes)
    assert sizes[0] >= 9
    assert sizes[-1] > 60


# Text


@pytest.mark.parametrize("outlines", [None, False])
def test_pen_measures_what_it_draws(outlines: bool | None) -> None:
    pen = Pen(outlines)
    image = picture(0, 60, 400)
    pen.draw(image, "Hello", (20, 40), 24, (255, 255, 255), BOLD)
    inked = np.flatnonzero(image.any((0, 2)))
    assert inked[0] >= 19
    assert inked[-1] - 20 == pytest.approx(pen.width("Hello", 24, BOLD), abs=4)


@pytest.mark.parametrize("label", ["苹果", "яблоко", "Äpfel", "λάμδα"])
def test_labels_in_other_scripts_are_drawn(label: str) -> None:
    import cv2

    if not hasattr(cv2, "FontFace"):
        pytest.skip("this OpenCV has stroke fonts only")
    pen = Pen()
    real, question = picture(0, 40, 200), picture(0, 40, 200)
    pen.draw(real, label, (5, 30), 20, (255, 255, 255))
    pen.draw(question, "?" * len(label), (5, 30), 20, (255, 255, 255))
    assert real.any()
    assert (real != question).any()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Äpfel", "Apfel"),
        ("crème brûlée", "creme brulee"),
        ("a · b…", "a | b..."),
        ("苹果", "??"),
        ("Straße", "Strasse"),
    ],
)
def test_ascii_for_stroke_fonts(text: str, plain: str) -> None:
    assert to_ascii(text) == plain
    assert Pen(outlines=False).printable(text) == plain


def test_control_characters_do_not_reach_the_font() -> None:
    assert Pen().printable("two\nlines\t\x00 \u202e!") == "two lines !"


@pytest.mark.parametrize("text", ["Waschmaschinenschlüssel", "苹果" * 20, "x"])
def test_long_labels_are_shortened(text: str) -> None:
    pen = Pen()
    short = pen.fit(text, 20, REGULAR, 80)
    assert pen.width(short, 20) <= 80
    assert short == text or short.endswith("…")


# Features


def features(shift: float | np.float64 = 0.0, sign: float = 1.0) -> Float:
    """Three smooth fields with separate strengths, mixed into 12 channels; `sign` turns channels around."""
    y, x = np.mgrid[0:12, 0:16].astype(np.float32)
    fields = np.stack((3 * np.sin(x / 5 + shift), 2 * np.cos(y / 4 - shift), np.sin((x + y) / 3)), -1)
    mix = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 3)))[0].astype(np.float32)
    return (fields @ mix.T * sign).astype(np.float32)


def test_painting_follows_a_changing_scene_smoothly() -> None:
    painter = FeaturePainter()
    painted = [painter.paint(features(shift)).astype(int) for shift in np.linspace(0, 0.6, 30)]
    steps = [np.abs(b - a).mean() for a, b in pairwise(painted)]
    assert max(steps) < 6
    assert painted[0].std((0, 1)).min() > 10  # and it is colourful


def test_painting_frame_by_frame_without_memory_would_flash() -> None:
    """The fields' strengths swap places; separate analyses trade their colours, the painter does not."""
    first, second = features(), features()[:, ::-1] * 1.0
    second = np.where(np.arange(12) < 6, first * 0.6, first * 1.5).astype(np.float32)
    painter = FeaturePainter()
    painter.paint(first)
    steady = np.abs(painter.paint(second).astype(int) - FeaturePainter().paint(first)).mean()
    fresh = np.abs(FeaturePainter().paint(second).astype(int) - FeaturePainter().paint(first)).mean()
    assert steady < fresh


def test_painting_is_the_same_every_time() -> None:
    np.testing.assert_array_equal(FeaturePainter().paint(features()), FeaturePainter().paint(features()))


@pytest.mark.parametrize("values", [0.0, 5.0, np.nan])
def test_painting_flat_features(values: float) -> None:
    painted = FeaturePainter().paint(np.full((4, 5, 8), values, np.float32))
    assert painted.shape == (4, 5, 3)
    assert (painted == painted[0, 0]).all()


def test_painter_takes_another_model_and_another_size() -> None:
    painter = FeaturePainter()
    assert painter.paint(features()).shape == (12, 16, 3)
    assert painter.paint(features()[:6, :6]).shape == (6, 6, 3)
    assert painter.paint(np.ones((2, 2, 384), np.float32)).shape == (2, 2, 3)


# Attention


def test_core_colours_are_distinct_and_keep_their_core() -> None:
    colours = core_colours(64)
    assert len({tuple(colour) for colour in colours}) == 64
    np.testing.assert_array_equal(colours[:8], core_colours(8))
    near = colours[:8].astype(int)[:, None] - colours[:8].astype(int)[None]
    distance = np.abs(near).sum(-1) + 1000 * np.eye(8)
    assert distance.min() > 60


def test_core_attention_takes_the_colour_of_the_strongest_core() -> None:
    core_attention = np.full((1, 2, 8), 0.02, np.float32)
    core_attention[0, 0, 3] = core_attention[0, 1, 5] = 0.86
    painted = paint_core_attention(core_attention)[0].astype(int)
    np.testing.assert_allclose(painted, core_colours(8)[[3, 5]], atol=1)


def test_core_attention_is_dim_where_undecided() -> None:
    core_attention = np.full((1, 2, 8), 1 / 8, np.float32)
    core_attention[0, 0] = 0.02
    core_attention[0, 0, 3] = 0.86
    decided, undecided = paint_core_attention(core_attention)[0].astype(int)
    assert undecided.sum() < 0.5 * decided.sum()


def test_views_outside_the_image_do_not_crash() -> None:
    image, colours = picture(100, 20, 20), np.full((2, 2, 3), 200, np.uint8)
    for view in (features_view, attention_view):
        assert (view(image, colours, (100, 100, 50, 50)) == 45).all()
        assert view(image, colours, (-30, -30, 80, 80)).mean() > 60


# Change


def test_computed_patches_keep_their_colour_and_the_rest_is_grey() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 200
    computed = np.zeros((4, 4), bool)
    computed[1, 2] = True
    colourful = np.ptp(change_view(image, streamed(computed)).astype(int), axis=-1) > 10
    expected = np.kron(computed, np.ones((16, 16), bool))
    np.testing.assert_array_equal(colourful, expected)


def test_outside_of_a_stream_everything_counts_as_computed() -> None:
    image = np.full((64, 64, 3), (200, 0, 0), np.uint8)
    picture = change_view(image, streamed(None))
    assert (np.ptp(picture.astype(int), axis=-1) > 10).all()
