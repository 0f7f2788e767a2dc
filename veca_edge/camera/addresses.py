"""Addresses of streams as they are shown: without the passwords in them."""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/+")
_SECRETS = (
    r"pas|pass(?:word|wd|phrase|code)?|pwd|psw|pw|psk|pin|token|secret|key|sig(?:nature)?|auth(?:orization)?"
    r"|credentials?|jwt|bearer|session"
)
# In a path: a name that ends in one of these words, for example api_key; its value ends where the next one begins.
_SECRET = re.compile(rf"((?:^|[/&;,_])[\w.-]*?(?:{_SECRETS})(?:=|%3D|:))[^&;]+", re.IGNORECASE)
# In a query a secret may have any name: only short numbers (a channel, a start) are surely none.
_QUERY = re.compile(r"([?#])")
_PLAIN = re.compile(r"[0-9]{1,3}")


def masked(address: str) -> str:
    """An address for messages and logs: who logs in, and what looks like a password, is left out.

    A password may hold what should have been escaped ("/", "?", "@"), so all that may be a part of it is left out.
    That is every part of a query but short numbers; in a path what follows the name of a password or the like.
    What is no address (a file's name) stays as it is, unless it looks like "name:password@host".
    """
    found = _SCHEME.match(address)
    start = found.end() if found else 0
    rest = address[start:]
    login, sign, place = rest.rpartition("@")
    if sign and (found or ":" in login):
        rest = f"{HIDDEN}@{place}"
    if not found:
        return rest
    path, sign, query = _QUERY.split(rest, 1) if _QUERY.search(rest) else (rest, "", "")
    query = "&".join(map(_masked_part, query.split("&")))
    return address[:start] + _SECRET.sub(rf"\g<1>{HIDDEN}", path) + sign + query


def _masked_part(part: str) -> str:
    """A part of a query, "name=value" or a value alone."""
    name, sign, value = part.partition("=")
    if not sign:
        name, value = "", part
    return f"{name}{sign}{HIDDEN}" if value and not _PLAIN.fullmatch(value) else part
