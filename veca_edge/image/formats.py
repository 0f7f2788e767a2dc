"""What a file is, from its first bytes: an image, a film, or something that OpenCV cannot play."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from veca_edge.errors import VecaError

SNIFF = 65_536  # bytes to give to `recognised`

# Endings of image files: these are looked at in a folder; what cannot be read is named.
IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".webp",
        ".bmp",
        ".dib",
        ".tif",
        ".tiff",
        ".gif",
        ".avif",
        ".jp2",
        ".j2k",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
    ]
)
UNREAD_SUFFIXES = frozenset(
    [
        ".heic",
        ".heif",
        ".hif",
        ".jxl",
        ".svg",
        ".psd",
        ".exr",
        ".hdr",
        ".ico",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".orf",
        ".rw2",
        ".raf",
        ".pef",
    ]
)
FILM_SUFFIXES = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mjpeg",
        ".mjpg",
        ".y4m",
        ".ts",
        ".m2ts",
        ".mts",
        ".mpg",
        ".mpeg",
        ".flv",
        ".ogv",
        ".wmv",
        ".3gp",
    ]
)

READ = "a JPEG, PNG, WebP, BMP, TIFF, GIF, AVIF, JPEG 2000 or PNM image"
# The only formats that ffmpeg may take a local file for: none of them refers to other files.
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2 matroska,webm avi flv asf ogg mpeg mpegts mpegvideo m4v h264 hevc vvc obu ivf nut mxf "
    "rm dv mjpeg yuv4mpegpipe"
).replace(" ", ",")

_TO_JPEG = "convert it to JPEG"
_TO_PNG = "convert it to PNG"
_RAW_ADVICE = "export it as JPEG"
_LINKS = "give the file or address that it names"

Kind = Literal["image", "film", "unread"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        name: as in "x is HEIC".
        kind: "image" and "film" can be played, "unread" cannot.
        advice: what to do about one that cannot be read.
    """

    name: str
    kind: Kind
    advice: str = ""

    def check(self, path: Path | str) -> None:
        """Raise a VecaError that says what to do if files of this format cannot be read."""
        if self.kind == "unread":
            raise VecaError(f"{path} is {self.name}, which cannot be read: {self.advice}")


RAW = Format("a camera's raw file", "unread", _RAW_ADVICE)
JPEG, PNG, TIFF = Format("JPEG", "image"), Format("PNG", "image"), Format("TIFF", "image")
WEBP, GIF, AVIF = Format("WebP", "image"), Format("GIF", "image"), Format("AVIF", "image")
BMP, PNM, JPEG2000 = Format("BMP", "image"), Format("PNM", "image"), Format("JPEG 2000", "image")
FILM = Format("a film", "film")
_HEIC = Format("HEIC", "unread", _TO_JPEG)
_PLAYLIST = Format("a playlist", "unread", _LINKS)

_STARTS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG2000),
    (b"\xff\x4f\xff\x51", JPEG2000),
    (b"II+\0", Format("BigTIFF", "unread", "convert it to TIFF or PNG")),
    (b"MM\0+", Format("BigTIFF", "unread", "convert it to TIFF or PNG")),
    (b"\xff\x0a", Format("JPEG XL", "unread", _TO_JPEG)),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format("JPEG XL", "unread", _TO_JPEG)),
    (b"%PDF-", Format("PDF", "unread", "export its page as PNG")),
    (b"%!PS", Format("PostScript", "unread", "export its page as PNG")),
    (b"8BPS", Format("a Photoshop file", "unread", "export it as PNG")),
    (b"\x76\x2f\x31\x01", Format("OpenEXR", "unread", _TO_PNG)),
    (b"#?RADIANCE", Format("Radiance HDR", "unread", _TO_PNG)),
    (b"#?RGBE", Format("Radiance HDR", "unread", _TO_PNG)),
    (b"PF\n", Format("PFM", "unread", _TO_PNG)),
    (b"Pf\n", Format("PFM", "unread", _TO_PNG)),
    (b"P7\n", Format("PAM", "unread", _TO_PNG)),
    (b"\0\0\1\0", Format("an icon file", "unread", _TO_PNG)),
    (b"DDS ", Format("DDS", "unread", _TO_PNG)),
    (b"qoif", Format("QOI", "unread", _TO_PNG)),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\0", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"FOVb", RAW),
    (b"\x1aE\xdf\xa3", FILM),  # Matroska and WebM
    (b"FLV\x01", FILM),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", FILM),  # ASF: WMV
    (b"OggS", FILM),
    (b"\0\0\1\xba", FILM),  # MPEG program stream
    (b"YUV4MPEG2 ", FILM),
    (b"DKIF", FILM),  # IVF
    (b"nut/multimed", FILM),
    (b".RMF", FILM),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", FILM),  # MXF
    (b"#EXTM3U", _PLAYLIST),
    (b"ffconcat", _PLAYLIST),
    (b"[playlist]", _PLAYLIST),
    (b"[Reference]", _PLAYLIST),
    (b"v=0\r\n", Format("a session description (SDP)", "unread", _LINKS)),
    (b"v=0\n", Format("a session description (SDP)", "unread", _LINKS)),
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"miaf"})
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # how a QuickTime film may begin
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the header that follows "BM" and 12 more bytes
_ELEMENTARY = re.compile(rb"\x00?\x00\x00\x01[^\x00]")  # MPEG-1/2/4, H.264 and H.265 without a container


def recognised(start: bytes) -> Format | None:
    """The format of a file, from its first bytes (up to `SNIFF`); None for an unknown one.

    Of a TIFF only the directory tells whether it is a camera's raw file: see `headers.tiff_fault`.
    """
    for magic, format_ in _STARTS:
        if start.startswith(magic):
            # Canon's raw files are TIFF files with a mark of their own.
            return RAW if format_ is TIFF and start[8:10] == b"CR" else format_
    for find in (_iso, _riff, _bmp, _pnm, _stream, _markup):
        if found := find(start):
            return found
    return None


def _iso(start: bytes) -> Format | None:
    """Files of boxes: HEIF stills, AVIF, and the many kinds of MP4."""
    if start[4:8] in _ATOMS:
        return FILM
    if start[4:8] != b"ftyp":
        return None
    major, length = start[8:12], min(int.from_bytes(start[:4], "big"), 256)
    brands = {start[at : at + 4] for at in range(16, length, 4)} | {major}
    if major in (b"avif", b"avis") or (major in _HEIC_BRANDS and brands & {b"avif", b"avis"}):
        return AVIF
    if major in _HEIC_BRANDS:
        return _HEIC
    return RAW if major == b"crx " else FILM


def _riff(start: bytes) -> Format | None:
    if start[:4] != b"RIFF":
        return None
    return {b"WEBP": WEBP, b"AVI ": FILM}.get(start[8:12])


def _bmp(start: bytes) -> Format | None:
    header = int.from_bytes(start[14:18], "little")
    return BMP if start.startswith(b"BM") and header in _BMP_HEADERS else None


def _pnm(start: bytes) -> Format | None:
    return PNM if re.match(rb"P[1-6]\s", start) else None


def _stream(start: bytes) -> Format | None:
    """Transport streams with packets of 188 bytes (or 192, after a time each), and elementary streams."""
    packets = any(start[first::size][:2] == b"GG" for first, size in ((0, 188), (4, 192)))
    return FILM if packets or _ELEMENTARY.match(start) else None


def _markup(start: bytes) -> Format | None:
    """Formats that are written in XML."""
    head = start[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"<"):
        return None
    if b"<svg" in head:
        return Format("SVG", "unread", "export it as PNG")
    return _PLAYLIST if any(word in head for word in (b"<mpd", b"<asx", b"<playlist", b"<smil")) else None
