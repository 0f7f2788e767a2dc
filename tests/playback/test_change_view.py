"""What streams add to pictures, logs and summaries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tests.fakes import FakeModel
from veca_edge.camera.frames import Frame
from veca_edge.playback.player import log_record
from veca_edge.playback.summary import Tally
from veca_edge.playback.views import change_view
from veca_edge.runtime.result import Result


def _result(computed: NDArray[np.bool_] | None, keyframe: bool = False) -> Result:
    image = np.full((64, 64, 3), 120, np.uint8)
    return replace(FakeModel()(image, cores=8), computed=computed, keyframe=keyframe, oldest=3)


def test_computed_patches_keep_their_colour_and_the_rest_is_grey() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 200
    computed = np.zeros((4, 4), bool)
    computed[1, 2] = True
    picture = change_view(image, _result(computed))
    colourful = np.ptp(picture.astype(int), axis=-1) > 10
    expected = np.kron(computed, np.ones((16, 16), bool))
    np.testing.assert_array_equal(colourful, expected)


def test_outside_of_a_stream_everything_counts_as_computed() -> None:
    image = np.full((64, 64, 3), (200, 0, 0), np.uint8)
    picture = change_view(image, _result(None))
    assert (np.ptp(picture.astype(int), axis=-1) > 10).all()


def test_the_log_counts_patches() -> None:
    computed = np.zeros((4, 4), bool)
    computed[0] = True
    frame = Frame(np.zeros((64, 64, 3), np.uint8), 5, 0.2, "x")
    record = log_record(frame, _result(computed))
    assert (record["patches"], record["patches_total"]) == (4, 16)
    assert (record["keyframe"], record["oldest"]) == (False, 3)
    assert log_record(frame, _result(None, keyframe=True))["patches"] == 16


def test_the_summary_counts_patches_and_keyframes() -> None:
    tally = Tally()
    assert tally.patches() is None
    tally.add(_result(np.ones((4, 4), bool), keyframe=True), None)
    tally.add(_result(np.eye(4, dtype=bool)), None)
    counts = tally.patches()
    assert counts is not None
    assert (counts.computed, counts.total, counts.keyframes) == (10, 16, 1)
