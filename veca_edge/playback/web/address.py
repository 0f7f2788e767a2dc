"""Where to listen, who that lets in, and which names a browser may use for it."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from veca_edge.errors import VecaError, shown

LOOPBACK = "127.0.0.1"
BACKLOG = 32  # connections that the system holds until they are taken
HOST_HEADER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*")
REASONS = {
    errno.EADDRINUSE: "it is in use: choose another port",
    errno.EACCES: "it is reserved for the administrator: choose a port from 1024 on",
    errno.EAFNOSUPPORT: "this system has no IPv6: use 0.0.0.0",
    errno.EADDRNOTAVAIL: "this machine does not have this address: use one of its own, or 0.0.0.0 for all",
}


@dataclass(frozen=True)
class Address:
    """A host, by name or number, and a port; port 0 leaves the choice to the system."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it, as far as the name tells."""
        return self.host == "localhost" or _is_loopback(self.host)


def parse_address(text: str) -> Address:
    """`8080`, `host:8080` or `[::1]:8080`; without a host, this machine only.

    Raises:
        VecaError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    name = host[1:-1] if bracketed else host
    good = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not good or (colon and not name) or (":" in name) != bracketed or not name.isascii():
        raise VecaError(f"--serve {text[:80]!r}: use a port or HOST:PORT, for example 8080 or 0.0.0.0:8080")
    return Address(name if colon else LOOPBACK, int(port))


def parse_host(text: str) -> str:
    """A host's name, or `*.` and a domain for all names in it; as browsers send it, in lower case and ASCII.

    Raises:
        VecaError: it is neither. A `*` alone would let every page of the internet in.
    """
    name = text.strip().lower().removesuffix(".")
    with suppress(UnicodeError):
        name = name if name.isascii() else name.encode("idna").decode()
    if HOST_NAME.fullmatch(name) is None or len(name) > 253:
        raise VecaError(f"--allow-host {shown(text)}: use a host's name such as vm.lan, or *.example.ts.net")
    return name


def listen(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        VecaError: the port is taken or forbidden, or the host is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, place = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        everywhere = family == socket.AF_INET6 and place[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            (str(place[0]), address.port), family=family, backlog=BACKLOG, dualstack_ipv6=everywhere
        )
    except socket.gaierror:
        raise VecaError(
            f"--serve {address}: there is no host with this name: use one of this machine's addresses"
        ) from None
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = REASONS.get(number or 0) or getattr(error, "strerror", None) or str(error)
        raise VecaError(f"cannot listen on {address}: {reason}") from None


def is_local(listening: socket.socket) -> bool:
    """Whether only this machine can reach a listening socket."""
    return _is_loopback(str(listening.getsockname()[0]))


def page_url(listening: socket.socket, token: str | None) -> str:
    """What to open in a browser. The token follows a `#`: browsers send that part to nobody."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        families = [socket.AF_INET6, socket.AF_INET] if ":" in host else [socket.AF_INET]
        found = (_outward(family) for family in families)
        host = next((name for name in found if name is not None), socket.gethostname())
    return f"http://{Address(host, port)}/" + (f"#{token}" if token else "")


class HostNames:
    """The names by which a browser may call this server.

    A hostile page can point its own name at this machine (DNS rebinding) and would then count as the same site. It
    cannot do so with a number, with this machine's own names, or with those that the user vouches for.

    Args:
        hosts: such names, see `parse_host`.
    """

    def __init__(self, address: Address, hosts: Collection[str] = ()) -> None:
        own = socket.gethostname().lower()
        self._names = {"localhost", address.host.lower(), own, f"{own.split('.')[0]}.local", *hosts}
        self._endings = tuple(name[1:] for name in hosts if name.startswith("*."))

    def allow(self, header: str) -> bool:
        """Whether the value of a Host header is an IP address or one of the names; any port will do (tunnels)."""
        match = HOST_HEADER.fullmatch(header)
        if match is None:
            return False
        name = match[1].strip("[]").lower().removesuffix(".")
        return name in self._names or name.endswith(self._endings) or _is_number(name)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_number(host) and ipaddress.ip_address(host).is_loopback


def _outward(family: socket.AddressFamily) -> str | None:
    """This machine's address on the way to the network; nothing is sent to find out."""
    far = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"  # reserved for documentation
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None
