from __future__ import annotations

import json

import numpy as np
import pytest

import veca_edge
from veca_edge.calibration.benchmark.machine import read_machine
from veca_edge.calibration.matching import MatchingReport, _moved, _square, measure_matching, photos_digest
from veca_edge.photos.samples import sample_images


@pytest.fixture(scope="module")
def rows(default_model_file):
    model = veca_edge.load(default_model_file)
    return measure_matching(model, sample_images(), (8, 64), (128,))


def test_features_find_more_than_pixels(rows):
    pixels, few, many = rows
    assert (pixels.what, few.what, many.what) == ("pixels", "features", "features")
    assert min(few.found, many.found) > 1.3 * pixels.found
    assert min(few.right, many.right) > pixels.right


def test_all_ways_see_the_same_pairs(rows):
    assert len({row.patches for row in rows}) == 1
    assert all(0 < row.pairs <= 16 * 64 for row in rows)


def test_pixels_find_everything_where_nothing_moved(default_model_file):
    class Still:
        def uniform(self, low, high, size=None):
            return (low + high) / 2 if size is None else np.full(size, (low + high) / 2)

        def normal(self, mean, deviation, shape):
            return np.zeros(shape)

    pair = _moved(_square(sample_images()[0], 128), Still())
    np.testing.assert_array_equal(pair.first, pair.second)
    np.testing.assert_allclose(pair.matrix, np.eye(2))
    np.testing.assert_allclose(pair.offset, 0, atol=1e-9)


def test_the_motion_is_what_it_says():
    photo = np.zeros((128, 128, 3), np.uint8)
    photo[40:48, 72:80] = 255
    pair = _moved(photo, np.random.default_rng(4))
    light = pair.second.mean(2) > 100
    rows, columns = np.nonzero(light)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(found, pair.matrix @ (76, 44) + pair.offset, atol=0.5)


def test_the_same_seed_gives_the_same_figures(default_model_file, rows):
    model = veca_edge.load(default_model_file)
    assert measure_matching(model, sample_images(), (64,), (128,))[1] == rows[2]


def test_the_report_is_json(rows):
    digest = photos_digest(sample_images())
    values = json.loads(json.dumps(MatchingReport("m", 16, digest, 0, read_machine(), rows).to_dict()))
    assert values["kind"] == "matching"
    assert len(values["digest"]) == 64
    assert values["rows"][0]["what"] == "pixels"
