from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakeModel, names, picture
from tests.known import known
from veca_edge.camera.frames import Frame
from veca_edge.errors import VecaError
from veca_edge.modelfile.certainty import Certainty
from veca_edge.modelfile.heads import DenseTask, class_colours
from veca_edge.photos.masks import Classes, read_masked_split, read_target
from veca_edge.playback.legend import draw_legend
from veca_edge.playback.masks import MaskSteadier, value_colours
from veca_edge.playback.overlay import text_size
from veca_edge.playback.target_files import MaskWriter, check_saved
from veca_edge.playback.text import Pen
from veca_edge.playback.views import Renderer, masks_view
from veca_edge.runtime.dense import DenseResult

LABELS = ("background", "cat", "dog")
TASK = DenseTask("pets", "segmentation", 1, LABELS, class_colours(LABELS))
DEPTH = DenseTask("depth", "regression", 1, unit="m", range=(0.0, 8.0))
OTHER = DenseTask("others", "segmentation", 1, LABELS, class_colours(LABELS))
CROP = (20, 0, 60, 60)


def pets(crop: tuple[int, int, int, int] = CROP) -> DenseResult:
    """Of 6 by 6 cells a cat at the top left, a dog at the bottom right, 4 cells each."""
    cells = np.zeros((6, 6, 3), np.float32)
    cells[:, :, 0] = 4
    cells[:2, :2, 1] = 9
    cells[4:, 4:, 2] = 9
    return DenseResult(TASK, cells, crop)


def depth(values: np.ndarray, task: DenseTask = DEPTH) -> DenseResult:
    return DenseResult(task, values[..., None].astype(np.float32), CROP)


def hue(pixel: np.ndarray) -> np.ndarray:
    """What a mask added to a grey pixel, as a direction."""
    added = pixel.astype(float) - pixel.mean()
    return np.asarray(added / max(float(np.linalg.norm(added)), 1e-6))


def test_classes_have_their_colours_where_they_are() -> None:
    drawn = masks_view(picture(100, 60, 100), pets())
    for (y, x), number in (((5, 25), 1), ((55, 75), 2)):
        assert hue(drawn[y, x]) @ hue(np.array(TASK.colours[number])) > 0.98
    background = drawn[30:35, 45:55]
    assert (background == 100).all()


def test_what_lies_outside_the_crop_is_dimmed_as_in_other_views() -> None:
    image = picture(100, 60, 100)
    result = FakeModel()(image, cores=8)
    drawn, other = masks_view(image, pets(result.crop)), Renderer().render("features", image, result)
    np.testing.assert_array_equal(drawn[:, :20], other[:, :20])
    np.testing.assert_array_equal(drawn[:, 80:], other[:, 80:])


def test_edges_are_soft_and_outlined_at_the_frames_own_resolution() -> None:
    cells = np.zeros((6, 6, 3), np.float32)
    cells[..., 1], cells[..., 2] = np.linspace(6, -6, 6) + 0.01, -9
    drawn = masks_view(picture(0, 600, 1000), DenseResult(TASK, cells, (200, 0, 600, 600)))
    row = drawn[100, 200:].max(-1).astype(int)
    last = int(np.flatnonzero(row[:600])[-1])
    assert abs(last - 300) <= 1  # where both classes are as likely
    assert row[last - 30] < row[last - 1] > 225
    assert 0 < row[last] < row[last - 1]


def test_a_sure_class_covers_more_than_a_guess() -> None:
    cells = np.zeros((6, 6, 3), np.float32)
    cells[:, :3, 1], cells[:, 3:, 1] = 9, 0.3
    drawn = masks_view(picture(0, 60, 60), DenseResult(TASK, cells, (0, 0, 60, 60))).sum(-1)
    assert drawn[30, 5] > 1.5 * drawn[30, 55] > 0


@pytest.mark.parametrize("crop", [(0, -20, 100, 100), (-30, -30, 80, 80), (99, 59, 50, 50), (200, 200, 10, 10)])
def test_crops_past_the_frame(crop: tuple[int, int, int, int]) -> None:
    image = picture(100, 60, 100)
    for dense in (pets(crop), DenseResult(DEPTH, np.ones((6, 6, 1), np.float32), crop)):
        assert masks_view(image, dense).shape == image.shape


def test_values_take_the_colours_of_their_scale() -> None:
    values = np.tile(np.repeat([0.0, 4.0, 99.0], 2), (6, 1))
    drawn = masks_view(picture(128, 60, 100), depth(values))
    for x, level in ((25, 0), (50, 128), (75, 255)):
        expected = 0.75 * value_colours()[level, 0] + 0.25 * 128
        np.testing.assert_allclose(drawn[30, x], expected, atol=12)
    lightness = value_colours()[:, 0].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(lightness) > -1).all()


@pytest.mark.parametrize("size", [(1, 1), (48, 64), (120, 160), (480, 640)])
@pytest.mark.parametrize("dense", [pets(), depth(np.zeros((6, 6), np.float32))])
def test_legend_stays_at_the_bottom_left(size: tuple[int, int], dense: DenseResult) -> None:
    image = picture(255, *size)
    draw_legend(image, dense, "rooms", Pen())
    changed = (image != 255).any(-1)
    assert changed.any() == (size[1] >= 96)
    assert not changed[: size[0] // 4].any()
    assert not changed[:, -1].any()


def test_legend_shows_colours_and_shares() -> None:
    image, other = picture(0, 480, 640), picture(0, 480, 640)
    draw_legend(image, pets(), "", Pen())
    for colour in TASK.colours[1:]:
        assert (np.abs(image.astype(int) - colour).max(-1) < 3).sum() > 50
    cells = pets().cells.copy()
    cells[..., 2] = -9
    draw_legend(other, DenseResult(TASK, cells, CROP), "", Pen())
    assert (image != other).any()  # what is not there is dim


@pytest.mark.parametrize("unit", ["m", "brightness"])
def test_numbers_of_a_scale_stand_apart(unit: str) -> None:
    image, pen = picture(0, 480, 320), Pen()
    task = replace(DEPTH, unit=unit, range=(0.065, 0.995))
    x, y, width, height = known(draw_legend(image, depth(np.ones((6, 6)), task), "", pen))
    size = text_size(image)
    last = x + width - round(0.7 * size) - pen.width(f"0.995 {unit}", size)
    row = image[y + height // 2 : y + height * 2 // 3] > 150
    assert not row[:, last - size // 2 : last].any()
    assert row[:, last:].any()


def test_the_head_that_is_named_is_shown() -> None:
    image = picture(100, 60, 90)  # too small for a legend
    dense = {"pets": pets(), "depth": depth(np.full((6, 6), 8.0))}
    result = replace(FakeModel()(image, cores=8), dense=dense)
    first, named = (Renderer().render("masks", image, result, head=head) for head in (None, "depth"))
    assert (first[5, 60] == 100).all()
    assert named[5, 60, 2] < 100  # yellow


# Files


def frame(index: int, name: str = "film.mp4") -> Frame:
    return Frame(picture(0, 60, 100), index, index / 30, name)


def test_saved_masks_are_read_again(tmp_path: Path) -> None:
    writer = MaskWriter(tmp_path / "set", "pets", numbered=False)
    writer.write(frame(0, "a.b.jpg"), pets())
    (tmp_path / "set" / "images").mkdir()
    (tmp_path / "set" / "images" / "a.b.jpg").touch()
    found = read_masked_split(tmp_path / "set", "segmentation")
    assert found.meaning == Classes(LABELS, TASK.colours)
    mask = read_target(found.val[0].target, found.meaning)
    np.testing.assert_array_equal(mask[:, 20:80], pets().classes(60, 60))
    assert (mask[:, :20] == 255).all()


def test_images_of_one_name_have_files_of_their_own(tmp_path: Path) -> None:
    writer = MaskWriter(tmp_path / "set", "pets", numbered=False)
    for name in ("a.jpg", "a.png", "a.jpg"):  # the last one as a folder starts over
        writer.write(frame(0, name), pets())
    assert names(tmp_path / "set" / "masks") == ["a.png", "a.png.png"]


@pytest.mark.parametrize("low", [0.0, -5.0])
def test_saved_values_are_read_again(tmp_path: Path, low: float) -> None:
    task = DenseTask("depth", "regression", 1, unit="m", range=(low, 8.0))
    values = np.linspace(low + 0.5, 7, 36).reshape(6, 6)
    writer = MaskWriter(tmp_path / "set", "depth", numbered=True)
    writer.write(frame(7), depth(values, task))
    assert names(tmp_path / "set") == ["scale.txt", "values"]
    (tmp_path / "set" / "images").mkdir()
    (tmp_path / "set" / "images" / "000007.jpg").touch()
    found = read_masked_split(tmp_path / "set", "regression")
    read = read_target(found.val[0].target, found.meaning)
    np.testing.assert_allclose(read[:, 20:80], np.asarray(depth(values, task).at(60, 60))[..., 0], atol=0.0006)
    assert np.isnan(read[:, :20]).all()
    assert found.meaning.unit == "m"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("taken", "message"),
    [("labels.txt", "has labels.txt already"), ("masks/", "has masks already"), ("images/", "")],
)
def test_what_a_person_drew_is_not_replaced(tmp_path: Path, taken: str, message: str) -> None:
    (tmp_path / taken).mkdir() if taken.endswith("/") else (tmp_path / taken).touch()
    if message:
        with pytest.raises(VecaError, match=message):
            MaskWriter(tmp_path, "pets", numbered=True)
    else:
        MaskWriter(tmp_path, "pets", numbered=True)


def test_places_that_are_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, message in (("file", "not a folder"), ("link", "not a folder"), ("no/set", "there is no folder")):
        with pytest.raises(VecaError, match=message):
            MaskWriter(tmp_path / name, "pets", numbered=True)


def test_more_classes_than_a_mask_holds() -> None:
    labels = tuple(map(str, range(256)))
    with pytest.raises(VecaError, match="255 fit"):
        check_saved(DenseTask("many", "segmentation", 1, labels, class_colours(labels)))


# In a film


def wavering(odds: float) -> DenseResult:
    """A cat, by so much likelier than the background, in every cell."""
    cells = np.full((6, 6, 3), -9, np.float32)
    cells[..., 0], cells[..., 1] = 0, odds
    return DenseResult(TASK, cells, (0, 0, 60, 60))


@pytest.mark.parametrize(("grey", "cat"), [(100, True), (102, True), (140, False)])
def test_close_calls_do_not_flicker_where_nothing_moves(grey: int, cat: bool) -> None:
    steady = MaskSteadier()
    steady(picture(100, 60, 60), wavering(0.5))
    assert bool(steady(picture(grey, 60, 60), wavering(-0.5)).classes().all()) == cat


def test_what_lasts_is_shown_in_the_end() -> None:
    steady, still = MaskSteadier(), picture(100, 60, 60)
    steady(still, wavering(4.0))
    shown = [steady(still, wavering(-4.0)) for _ in range(30)]
    assert shown[0].classes().all()
    assert not shown[-1].classes().any()
    np.testing.assert_allclose(shown[-1].probabilities(), wavering(-4.0).probabilities(), atol=0.02)


def test_only_what_moves_is_taken_at_once() -> None:
    steady, frame = MaskSteadier(), picture(100, 60, 60)
    steady(frame, wavering(0.5))
    moved = frame.copy()
    moved[:, 50:] = 0
    classes = steady(moved, wavering(-0.5)).classes()
    assert classes[:, :3].all()
    assert not classes[:, 4:].any()


def test_another_view_of_the_scene_starts_anew() -> None:
    for other in (replace(wavering(-0.5), crop=(10, 0, 60, 60)), replace(wavering(-0.5), task=OTHER)):
        steady = MaskSteadier()
        steady(picture(100, 60, 80), wavering(0.5))
        assert not steady(picture(100, 60, 80), other).classes().any()


def test_values_are_shown_as_they_are() -> None:
    values = depth(np.full((6, 6), 3.0))
    assert MaskSteadier()(picture(100, 60, 100), values) is values


def test_separate_pictures_have_nothing_in_common() -> None:
    image, first, second = picture(100, 360, 640), wavering(0.5), wavering(-0.5)
    result = replace(FakeModel()(image, cores=8), logits=None)
    for film in (False, True):
        renderer, alone = Renderer(film), Renderer(film)
        renderer.render("masks", image, replace(result, dense={"pets": first}))
        after = renderer.render("masks", image, replace(result, dense={"pets": second}))
        same = np.array_equal(after, alone.render("masks", image, replace(result, dense={"pets": second})))
        assert same != film


def test_the_label_stands_above_the_legend() -> None:
    image = picture(100, 360, 640)
    named = replace(FakeModel()(image, cores=8), dense={"pets": pets()})
    with_label = Renderer().render("masks", image, named)
    without = Renderer().render("masks", image, replace(named, logits=None))
    rows = np.flatnonzero((with_label != without).any(axis=(1, 2)))
    legend = np.flatnonzero((without != without[0, -1]).any(axis=(1, 2)))
    assert len(rows)
    assert legend[legend < rows[0]].max() <= 60  # the mask
    assert legend[legend > 60].min() > rows[-1]
    unsure = Renderer().render("masks", image, replace(named, certainty=Certainty(threshold=1.0)))
    np.testing.assert_array_equal(unsure, without)
