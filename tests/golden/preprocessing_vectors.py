"""preprocessing.json, patches.json and frames.json: from the formula's frames to what a model reads."""

from __future__ import annotations

from typing import Any

from tests.golden.frames import Frame
from veca_edge.image.patches import cell_centres, cut_patches
from veca_edge.image.preprocessing import Preprocessing, halved
from veca_edge.runtime.streaming.stream import _compared

TOLERANCE = 2  # grey levels: blocks and lines are each rounded, in fixed point, single or double precision

Json = dict[str, Any]

FRAMES = (
    Frame(5, 3),
    Frame(7, 4, "plaid", pan=11),
    Frame(4, 4, "plaid", light=-60),
    Frame(6, 3, noise=127, seed=1),
    Frame(6, 4, "plaid", light=90, noise=3, seed=4294967295, cell=2, add=((0, 0, 30), (4, 5, -200))),
)

# name, frame, fit, image_size of the preprocessing, patch size, another image size
CASES = (
    ("as it is", Frame(16, 16, "plaid", noise=20, seed=2), "crop", 16, 8, None),
    ("crop, up, odd margin", Frame(13, 10, "plaid", noise=9, seed=3), "crop", 16, 8, None),
    ("crop, down by less than two", Frame(29, 21, noise=127, seed=4), "crop", 16, 8, None),
    ("crop, down by exactly two", Frame(32, 33, noise=127, seed=5), "crop", 16, 8, None),
    ("crop, down by three and a bit", Frame(53, 61, noise=127, seed=6), "crop", 16, 8, None),
    ("crop, another size", Frame(37, 40, "plaid", noise=5, seed=7), "crop", 32, 8, 16),
    ("stretch, up one way, down the other", Frame(11, 47, "plaid", noise=30, seed=8), "stretch", 16, 8, None),
    ("stretch, twice one way only", Frame(35, 16, noise=127, seed=9), "stretch", 16, 4, None),
    ("pad, wide", Frame(31, 17, "plaid", noise=9, seed=10), "pad", 16, 8, None),
    ("pad, tall, inner width of 2.5", Frame(5, 32, noise=127, seed=11), "pad", 16, 8, None),
    ("pad, up, a line of pixels", Frame(9, 1, noise=127, seed=12), "pad", 16, 8, None),
    ("pad, offset of -5.5", Frame(22, 11, "plaid", noise=9, seed=13), "pad", 16, 8, None),
    ("keep, wide, long side half-way between two", Frame(20, 16, "plaid", noise=9, seed=14), "keep", 16, 8, None),
    ("keep, tall", Frame(15, 34, "plaid", noise=9, seed=15), "keep", 16, 4, None),
    ("keep, nearly square", Frame(17, 16, noise=127, seed=16), "keep", 8, 4, None),
)

# name, width and height, fit, image_size, patch size, another image size
ERRORS = (
    ("size not a multiple of the patch size", 16, 16, "crop", 20, 8, None),
    ("other size not a multiple", 16, 16, "crop", 16, 8, 12),
    ("size of zero", 16, 16, "crop", 16, 8, 0),
    ("size above 4096", 16, 16, "crop", 16, 8, 4104),
    ("too long to keep", 33, 4, "keep", 16, 8, None),
    ("no pixels", 0, 4, "crop", 16, 8, None),
)

CUT = (
    (Frame(4, 6, noise=127, seed=20), 2, [5, 0, 3]),
    (Frame(15, 9, noise=127, seed=21), 3, [14, 7]),
    (Frame(32, 16, "plaid", noise=4, seed=22), 16, [1]),
)
COMPARED = ((Frame(16, 8, noise=127, seed=30), 4), (Frame(6, 9, noise=127, seed=31), 3))
GRIDS = ((1, 1), (2, 3), (3, 7))


def frame_vectors() -> Json:
    return {"cases": [{"frame": f.told(), "bytes": f.image().reshape(-1).tolist()} for f in FRAMES]}


def preprocessing_vectors() -> Json:
    return {
        "tolerance": TOLERANCE,
        "cases": [_fitted(*case) for case in CASES],
        "halved": [
            {"frame": f.told(), "pixels": halved(f.image()).reshape(-1).tolist()}
            for f in (Frame(10, 6, noise=127, seed=40), Frame(8, 8, "plaid"))
        ],
        "errors": [
            {"name": name, "width": width, "height": height, **_settings(fit, size, patch, other)}
            for name, width, height, fit, size, patch, other in ERRORS
        ],
    }


def _settings(fit: str, size: int, patch: int, other: int | None) -> Json:
    settings = {"preprocessing": Preprocessing(size, fit).to_dict(), "patch_size": patch}
    return settings if other is None else settings | {"image_size": other}


def _fitted(name: str, frame: Frame, fit: str, size: int, patch: int, other: int | None) -> Json:
    preprocessing = Preprocessing(size, fit)
    fitted = preprocessing.resize(frame.image(), patch, other)
    height, width, _ = fitted.image.shape
    return {
        "name": name,
        "frame": frame.told(),
        **_settings(fit, size, patch, other),
        "width": width,
        "height": height,
        "squares": preprocessing.squares(frame.width, frame.height, patch, other or size),
        "crop": list(fitted.crop),
        "pixels": fitted.image.reshape(-1).tolist(),
    }


def patch_vectors() -> Json:
    return {
        "tolerance": TOLERANCE,
        "cut": [
            {
                "frame": frame.told(),
                "patch_size": size,
                "patches": cut_patches(frame.image(), size).astype(int).tolist(),
                "some": some,
            }
            for frame, size, some in CUT
        ],
        "positions": [
            {"rows": rows, "columns": columns, "positions": cell_centres(rows, columns).tolist()}
            for rows, columns in GRIDS
        ],
        "compared": [
            {"frame": frame.told(), "patch_size": size, "patches": _compared(frame.image(), size).tolist()}
            for frame, size in COMPARED
        ],
    }
