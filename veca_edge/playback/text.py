"""Text on images: any script where OpenCV can draw it, plain ASCII where it cannot."""

from __future__ import annotations

import unicodedata
from typing import Any

from veca_edge.arrays import Image

Colour = tuple[int, int, int]
REGULAR, BOLD = 400, 650
_ASCII = {
    "·": "|",
    "…": "...",
    "×": "x",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "ß": "ss",
}


class Pen:
    """Measures and draws single lines of text; sizes are the height of a line's letters in pixels.

    OpenCV 5 brings an outline font that covers Latin, Greek, Cyrillic, Arabic, Chinese and more. OpenCV 4 has
    stroke fonts with ASCII only: there accents are dropped and other scripts show as question marks.

    Args:
        outlines: use the outline font; None for wherever OpenCV has it.
    """

    def __init__(self, outlines: bool | None = None) -> None:
        import cv2

        has_outlines = hasattr(cv2, "FontFace")
        self._font: Any = cv2.FontFace("sans") if has_outlines and outlines is not False else None

    def width(self, text: str, size: int, weight: int = REGULAR) -> int:
        """How wide `text` would be, in pixels."""
        import cv2

        text = self.printable(text)
        if self._font is not None:
            box = cv2.getTextSize((0, 0), text, (0, 0), self._font, size, weight)
            return int(box[2])
        scale, thickness = self._strokes(size, weight)
        return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)[0][0])

    def draw(
        self,
        image: Image,
        text: str,
        at: tuple[int, int],
        size: int,
        colour: Colour,
        weight: int = REGULAR,
    ) -> None:
        """Draw on `image` (H, W, 3) uint8 in place; `at` is (x, y) of the baseline's left end."""
        import cv2

        text = self.printable(text)
        if self._font is not None:
            cv2.putText(image, text, at, colour, self._font, size, weight)
            return
        scale, thickness = self._strokes(size, weight)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)

    def fit(self, text: str, size: int, weight: int, room: int) -> str:
        """`text`, shortened with an ellipsis until it is at most `room` pixels wide."""
        if self.width(text, size, weight) <= room:
            return text
        low, high = 0, len(text)  # the longest beginning that fits lies in low … high - 1
        while low + 1 < high:
            middle = (low + high) // 2
            if self.width(text[:middle].rstrip() + "…", size, weight) <= room:
                low = middle
            else:
                high = middle
        return text[:low].rstrip() + "…"

    def printable(self, text: str) -> str:
        """`text` on one line, in characters that the font has."""
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if self._font is not None else to_ascii(text)

    def _strokes(self, size: int, weight: int) -> tuple[float, int]:
        """The scale and thickness of the stroke font for letters as large as the outline font's."""
        import cv2

        thickness = max(1, round(size * (0.09 if weight >= BOLD else 0.06)))
        return cv2.getFontScaleFromHeight(
            cv2.FONT_HERSHEY_SIMPLEX, max(1, round(size * 0.72)), thickness
        ), thickness


def to_ascii(text: str) -> str:
    """Accents dropped ("Äpfel" to "Apfel"), the rest of what is not ASCII as question marks."""
    replaced = "".join(_ASCII.get(c, c) for c in text)
    plain = (c for c in unicodedata.normalize("NFKD", replaced) if not unicodedata.combining(c))
    return "".join(plain).encode("ascii", "replace").decode("ascii")
