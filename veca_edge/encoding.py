r"""Text that an encoding cannot hold: characters that it lacks, and bytes of file names that are no text.

They are written as JSON escapes, `\u` and four digits: readable on a screen, and valid within JSON.
"""

from __future__ import annotations

import codecs
import sys

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


def escape_streams() -> None:
    """Let standard output and standard error escape what they cannot write.

    ASCII is what Python takes where nothing is known of the terminal; click writes UTF-8 there, so all do.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            plain = codecs.lookup(stream.encoding).name == "ascii"
            reconfigure(encoding="utf-8" if plain else stream.encoding, errors=ESCAPED)
