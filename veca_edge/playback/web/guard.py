"""Who may do what and how often: the token, and limits per address."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from veca_edge.errors import VecaError

TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,128}")
REQUESTS, REQUESTS_PER_SECOND = 600.0, 300.0  # a page asks for about 30 frames and 5 states a second
GUESSES, GUESSES_PER_SECOND = 10.0, 0.1
CONNECTIONS, CONNECTIONS_PER_ADDRESS = 48, 24  # a page holds two to four
ADDRESSES = 1024  # remembered at once


def new_token() -> str:
    """96 random bits, short enough to be typed into a phone."""
    return secrets.token_hex(12)


def check_token(token: str) -> str:
    """The token; a VecaError if it is short enough to be guessed or would not survive in an address."""
    if TOKEN.fullmatch(token) is None:
        raise VecaError(
            "the token is too weak or not usable in a URL: use 16 to 128 of the characters A-Z a-z 0-9 . _ ~ -"
        )
    return token


class Allowance:
    """A store per key that each use takes from and time refills. Holds a limited number of keys.

    Args:
        full: what a key can hold and starts with.
        per_second: how fast it refills.
    """

    def __init__(self, full: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._full, self._per_second, self._clock = full, per_second, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, cost: float = 1.0) -> bool:
        """Take from the key's store; False, and nothing taken, if there is not enough."""
        left, now = self.left(key), self._clock()
        enough = left >= cost
        self._left[key] = (left - cost if enough else left, now)
        self._left.move_to_end(key)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return enough

    def left(self, key: str) -> float:
        """What the key's store holds now."""
        left, at = self._left.get(key, (self._full, 0.0))
        return min(self._full, left + (self._clock() - at) * self._per_second)


class Guard:
    """Answers for one server: how many connections, how many requests, and whose token is right.

    Args:
        token: what a request must bring; None lets everyone in.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = None if token is None else _digest(token)
        self._requests = Allowance(REQUESTS, REQUESTS_PER_SECOND, clock)
        self._guesses = Allowance(GUESSES, GUESSES_PER_SECOND, clock)
        self._open: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count a connection in; False if there are too many."""
        mine = self._open.get(address, 0)
        if mine >= CONNECTIONS_PER_ADDRESS or sum(self._open.values()) >= CONNECTIONS:
            return False
        self._open[address] = mine + 1
        return True

    def leave(self, address: str) -> None:
        """Count a connection out that had been let in."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def may_ask(self, address: str, cost: float = 1.0) -> bool:
        """Whether this address may make one more request; a dear one counts as `cost` of them."""
        return self._requests.take(address, cost)

    def may_guess(self, address: str) -> bool:
        """Whether a token from this address is looked at at all."""
        return self._guesses.left(address) >= 1

    def knows(self, address: str, authorization: str | None) -> bool:
        """Whether the value of an Authorization header holds the token; wrong ones are counted."""
        if self._digest is None:
            return True
        if authorization is None:
            return False
        given = authorization.removeprefix("Bearer ")
        # Digests have one length: the time of the comparison tells nothing of the token.
        right = hmac.compare_digest(_digest(given), self._digest)
        if not right:
            self._guesses.take(address)
        return right


def address_key(host: str) -> str:
    """What is counted as one address: of IPv6 the network of 64 bits, which one machine has to itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return host


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
