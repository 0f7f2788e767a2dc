"""The file of a gallery: an .npz archive, read without pickle, which writers that meet add to.

    my-things.npz = manifest.json  examples.npy

The manifest holds what `_facts` says; `examples.npy` is float32 (n, D'), a row for each of its labels.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

from veca_edge.documents import MAX_JSON, parse_json
from veca_edge.errors import VecaError, shown
from veca_edge.files import ZIP_ERRORS, check_target, expanded, is_there, regular_file, shortened, write_whole
from veca_edge.gallery.archive import check_ending, packed
from veca_edge.gallery.gallery import Example, Gallery, checked_label, checked_vector, without
from veca_edge.image.preprocessing import MAX_IMAGE_SIZE
from veca_edge.modelfile.archives import MAX_MEMBER, NPY_HEADER, float_array, member
from veca_edge.modelfile.manifest import LIMITS
from veca_edge.modelfile.means import Means
from veca_edge.numbers import whole

FORMAT = "veca-edge gallery"
FORMAT_VERSION = 1
A_GALLERY = "a gallery"
MANIFEST, EXAMPLES = "manifest.json", "examples.npy"
MOST_EXAMPLES = 1_000_000
_DIGEST = re.compile("([0-9a-f]{64})?")
PATIENCE, NAP = 10.0, 0.01  # seconds for which another writer is waited for, and between two tries
SHOWN_DIGEST = 12  # hexadecimal digits of a model's digest in a message


def save_gallery(gallery: Gallery, path: str | Path, before: Gallery | None = None) -> Gallery:
    """See `Gallery.save`."""
    path = check_target(path)
    check_ending(path, A_GALLERY)
    if not isinstance(before, (Gallery, type(None))):
        raise VecaError(f"before {shown(before)}: give the gallery that was loaded or saved last, or None")
    with alone(path.parent):
        # Only what this writer changed is changed in the file, which may hold more by now than it knows of.
        there, new = Gallery(), gallery.examples
        if is_there(path):
            there = load_gallery(path, gallery)
            new = new if before is None else without(new, before.examples)
        gone = () if before is None else without(before.examples, gallery.examples)
        kept = without(there.examples, gone)
        means = there.means if gallery.means is None else gallery.means
        merged = Gallery((*kept, *without(new, kept)), means, gallery.model or there.model)
        write_whole(path, archive_of(merged))
    return merged


def load_gallery(path: str | Path, wanted: Gallery | None = None) -> Gallery:
    """See `Gallery.load`.

    Args:
        wanted: a gallery of the model that it is to be used with, None for any.
    """
    path = regular_file(expanded(path))
    try:
        with zipfile.ZipFile(path) as archive:
            gallery = _read(archive)
    except VecaError as error:
        raise VecaError(f"{shortened(path)}: {error}") from None
    except OSError as error:
        raise VecaError(f"{shortened(path)}: cannot be read: {error.strerror or error}") from None
    except ZIP_ERRORS:
        raise VecaError(
            f"{shortened(path)}: no gallery, or a damaged one: give one that `veca-edge teach` wrote, or a new name"
        ) from None
    if wanted is not None:
        _check_model(path, gallery, wanted)
    return gallery


def _check_model(path: Path, gallery: Gallery, wanted: Gallery) -> None:
    """Refuse examples of another model: vectors of different weights have nothing to do with each other."""
    unlike = gallery.model and wanted.model and gallery.model != wanted.model
    if unlike or (gallery.width and wanted.width and gallery.width != wanted.width):
        digest = f" (checkpoint sha256 {gallery.model[:SHOWN_DIGEST]}…)" if gallery.model else ""
        raise VecaError(
            f"{shortened(path)} was taught with another model{digest}: use a file made from that checkpoint, or "
            "teach the examples to a new gallery"
        )


def _facts(gallery: Gallery) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": gallery.model,
        "width": gallery.width or 0,
        "labels": [example.label for example in gallery.examples],
        "regions": [example.region for example in gallery.examples],
        "image_sizes": [example.image_size or 0 for example in gallery.examples],
        "means": None if gallery.means is None else gallery.means.to_dict(),
    }


def archive_of(gallery: Gallery) -> bytes:
    """The bytes of a gallery's file; a VecaError for one that is too large to be read again."""
    manifest = json.dumps(_facts(gallery), indent=1)
    size = 4 * len(gallery) * (gallery.width or 0)
    if len(gallery) > MOST_EXAMPLES or len(manifest) > MAX_JSON or size > MAX_MEMBER - NPY_HEADER:
        raise VecaError(f"{len(gallery)} examples are more than a gallery's file holds: remove some, or split it")
    vectors = [example.vector for example in gallery.examples]
    arrays = {Path(EXAMPLES).stem: np.stack(vectors)} if vectors else {}
    return packed(arrays, {MANIFEST: manifest})


def _read(archive: zipfile.ZipFile) -> Gallery:
    facts = parse_json(member(archive, MANIFEST))
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise VecaError("is no gallery: it was made by another tool")
    version = whole(facts.get("format_version"), 1)
    if version is None or version > FORMAT_VERSION:
        found = shown(facts.get("format_version"))
        raise VecaError(f"has format {found}, this veca-edge reads up to {FORMAT_VERSION}: update veca-edge")
    model, width = facts.get("model"), whole(facts.get("width"), 0, LIMITS["output_dim"])
    labels, regions = facts.get("labels"), facts.get("regions")
    if not isinstance(model, str) or not _DIGEST.fullmatch(model) or width is None:
        raise VecaError("its manifest is damaged: model or width")
    if not isinstance(labels, list) or not isinstance(regions, list) or len(labels) != len(regions):
        raise VecaError("its manifest is damaged: labels or regions")
    if len(labels) > MOST_EXAMPLES or not all(type(region) is bool for region in regions):
        raise VecaError("its manifest is damaged: regions")
    sizes = facts.get("image_sizes", [0] * len(labels))  # files of before have none
    if not isinstance(sizes, list) or len(sizes) != len(labels):
        raise VecaError("its manifest is damaged: image_sizes")
    if any(whole(size, 0, MAX_IMAGE_SIZE) is None for size in sizes):
        raise VecaError("its manifest is damaged: image_sizes")
    means = None if facts.get("means") is None else Means.from_dict(facts["means"], width)
    vectors = float_array(archive, EXAMPLES, (len(labels), width)) if labels else ()
    examples = (
        Example(checked_label(label), checked_vector(vector, width), region, size or None)
        for label, vector, region, size in zip(labels, vectors, regions, sizes, strict=True)
    )
    return Gallery(tuple(examples), means, model)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for other writers in this folder, where the system has locks: from reading to writing takes moments.

    Raises:
        VecaError: one takes much longer.
    """
    descriptor = None
    try:
        with suppress(ImportError, OSError):  # Windows; a file system without locks
            descriptor = os.open(folder, os.O_RDONLY)
            _lock(descriptor, folder)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    """Lock an open folder; whoever may read it may do so, even for ever."""
    import fcntl

    end = monotonic() + PATIENCE
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() > end:
                raise VecaError(
                    f"cannot write to {shortened(folder)}: another program keeps it locked: end that, or use "
                    "another folder"
                ) from None
        sleep(NAP)
