r"""Text that an encoding cannot hold: characters that it lacks, and bytes of file names that are no text.

They are written as JSON escapes, `\u` and four digits: readable on a screen, and valid within JSON.
"""

from __future__ import annotations

import codecs
import sys

# What moves a terminal's cursor or turns the direction of reading: a name with these shows as another one.
_UNSEEN = [*range(32), *range(127, 160), 0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {number: f"\\u{number:04x}" for number in _UNSEEN}
ESCAPED = "veca_edge.escaped"  # the name of this way among Python's error handlers


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPED, _escape)


def encoded(text: str) -> bytes:
    """UTF-8, whatever is in the text."""
    return text.encode("utf-8", ESCAPED)


def printable(text: str) -> str:
    """The text with what cannot be encoded escaped, so that it can be printed and kept."""
    return text if text.isascii() else encoded(text).decode()


def visible(text: str) -> str:
    """One line for a screen: what is not printable, or would show the rest as something else, is escaped."""
    return text if text.isascii() and text.isprintable() else printable(text.translate(_ESCAPES))


def escape_streams() -> None:
    """Let standard output and standard error escape what they cannot write.

    ASCII is what Python takes where nothing is known of the terminal; click writes UTF-8 there, so all do.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            plain = codecs.lookup(stream.encoding).name == "ascii"
            reconfigure(encoding="utf-8" if plain else stream.encoding, errors=ESCAPED)
