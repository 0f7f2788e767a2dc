"""Addresses of streams as they are shown: without the passwords in them."""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_SECRETS = r"pass(?:word|wd|phrase)?|pwd|pw|token|secret|key|sig(?:nature)?|auth(?:orization)?|credentials?"
# A name that ends in one of these words, for example api_key; its value ends where the next one begins.
_SECRET = re.compile(rf"((?:^|[/?&;#,_])[\w.-]*?(?:{_SECRETS})(?:=|%3D|:))[^&;/#,]+", re.IGNORECASE)


def masked(address: str) -> str:
    """An address for messages and logs: who logs in, and what looks like a password, is left out.

    A password may hold what should have been escaped ("/", "?", "@"), so all that may be a part of it is left out.
    What is no address (a file's name) stays as it is, unless it looks like "name:password@host".
    """
    found = _SCHEME.match(address)
    start = found.end() if found else 0
    rest = address[start:]
    login, sign, place = rest.rpartition("@")
    if sign and (found or ":" in login):
        rest = f"{HIDDEN}@{place}"
    return address[:start] + (_SECRET.sub(rf"\g<1>{HIDDEN}", rest) if found else rest)
