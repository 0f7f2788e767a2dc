"""Directories of TIFF files; the EXIF data of other images has the same form."""

from __future__ import annotations

import struct
from dataclasses import dataclass

KIND, WIDTH, HEIGHT, MEANING, ORIENTATION, SAMPLES, EXTRA_SAMPLES = 254, 256, 257, 262, 274, 277, 338
PREMULTIPLIED = 1  # the value of EXTRA_SAMPLES for colours that are multiplied with alpha already
_FORMS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}  # whole numbers, as `struct` names them


@dataclass(frozen=True)
class Tag:
    """A whole number in a directory, the first if it is a list.

    Attributes:
        value: the number.
        position: where it is, bytes from the start of the file.
        form: how it is packed, for `struct`.
    """

    value: int
    position: int
    form: str


def tiff_tags(data: bytes) -> dict[int, Tag]:
    """The whole numbers of the first directory, by tag; of a tag that comes twice the first, as libtiff reads it.

    A number of another type is left out, and so is one beyond the end of `data`.

    Raises:
        struct.error: the directory lies beyond the end of `data`.
    """
    if data[:2] not in (b"II", b"MM"):
        return {}
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, start)[0]
    found: dict[int, Tag | None] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        number, kind, length = struct.unpack_from(order + "HHI", data, entry)
        found.setdefault(number, _tag(data, order, kind, length, entry + 8))
    return {number: tag for number, tag in found.items() if tag is not None}


def is_negative(data: bytes) -> bool:
    """Whether 0 means white in a TIFF."""
    meaning = tiff_tags(data).get(MEANING)
    return meaning is not None and meaning.value == 0


def with_value(data: bytes, tag: Tag, value: int) -> bytes:
    """The file with another number in a tag's place."""
    changed = bytearray(data)
    struct.pack_into(tag.form, changed, tag.position, value)
    return bytes(changed)


def _tag(data: bytes, order: str, kind: int, length: int, place: int) -> Tag | None:
    if kind not in _FORMS:
        return None
    form = order + _FORMS[kind]
    # Up to four bytes stand in the entry itself, more of them elsewhere.
    position = place if length * struct.calcsize(form) <= 4 else struct.unpack_from(order + "I", data, place)[0]
    if position + struct.calcsize(form) > len(data):
        return None
    return Tag(struct.unpack_from(form, data, position)[0], position, form)
