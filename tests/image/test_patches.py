from __future__ import annotations

import numpy as np
import pytest

from veca_edge.image.patches import cell_centres, cut_patches


@pytest.mark.parametrize(("rows", "columns", "size"), [(1, 1, 16), (3, 5, 4), (16, 16, 16)])
def test_each_patch_is_its_square_of_the_image(rows: int, columns: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (rows * size, columns * size, 3), np.uint8)
    patches = cut_patches(image, size)
    assert patches.dtype == np.float32
    assert patches.shape == (rows * columns, size * size * 3)
    for index in range(rows * columns):
        top, left = divmod(index, columns)
        square = image[top * size : (top + 1) * size, left * size : (left + 1) * size]
        np.testing.assert_array_equal(patches[index], square.reshape(-1))


def test_a_view_of_a_larger_image_is_cut_correctly() -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)[4:36, 5:37]
    np.testing.assert_array_equal(cut_patches(image, 16), cut_patches(image.copy(), 16))


def test_centres_are_those_of_the_torch_model() -> None:
    from veca_edge.model.rope import patch_positions

    np.testing.assert_allclose(cell_centres(3, 5), patch_positions(3, 5).numpy(), atol=1e-7)
