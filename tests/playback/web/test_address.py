from __future__ import annotations

import socket

import pytest

from veca_edge.errors import VecaError
from veca_edge.playback.web.address import Address, HostNames, is_local, listen, page_url, parse_address, parse_host


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("0.0.0.0:80", "0.0.0.0", 80, "0.0.0.0:80"),
        ("robot.local:0", "robot.local", 0, "robot.local:0"),
        ("[::1]:8080", "::1", 8080, "[::1]:8080"),
    ],
)
def test_addresses(text: str, host: str, port: int, shown: str) -> None:
    assert parse_address(text) == Address(host, port)
    assert str(parse_address(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "x", ":8080", "65536", "-1", "8080 ", "²", "::1:8080", "[]:80", "a:b:1", "ö:1"]
)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(VecaError, match="use a port or HOST:PORT"):
        parse_address(text)


def test_port_in_use_is_one_line() -> None:
    with listen(Address("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(VecaError, match=f"cannot listen on 127.0.0.1:{port}: it is in use"):
            listen(Address("127.0.0.1", port))


@pytest.mark.parametrize("host", ["nothing.invalid", "198.51.100.7", "a" * 70 + ".invalid"])
def test_hosts_of_other_machines(host: str) -> None:
    with pytest.raises(VecaError, match=r"no host with this name|does not have this address|cannot listen"):
        listen(Address(host, 0))


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_who_can_reach_it(host: str, local: bool) -> None:
    with listen(Address(host, 0)) as listening:
        assert is_local(listening) == local


def test_url_carries_the_token_where_browsers_send_it_to_nobody() -> None:
    with listen(Address("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert page_url(listening, None) == f"http://127.0.0.1:{port}/"
        assert page_url(listening, "secret") == f"http://127.0.0.1:{port}/#secret"
    with listen(Address("0.0.0.0", 0)) as listening:
        assert "0.0.0.0" not in page_url(listening, None)


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1:8080", True),
        ("localhost", True),
        ("192.168.1.5:9999", True),
        ("[fe80::1]:8080", True),
        ("Robot.example:1", True),
        (socket.gethostname(), True),
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("a b", False),
        ("127.0.0.1:8080:1", False),
        ("user@127.0.0.1", False),
    ],
)
def test_names_that_a_browser_may_use(header: str, allowed: bool) -> None:
    assert HostNames(Address("robot.example", 1)).allow(header) == allowed


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("vm.lan:8080", True),
        ("VM.lan.", True),
        ("board.tail1.ts.net", True),
        ("a.b.tail1.ts.net", True),
        ("tail1.ts.net", False),
        ("eviltail1.ts.net", False),
        ("vm.lan.evil.example", False),
        ("xn--kche-0ra.lan", True),
        ("127.0.0.1", True),
        ("*.tail1.ts.net", False),
    ],
)
def test_names_that_the_user_vouches_for(header: str, allowed: bool) -> None:
    hosts = [parse_host(text) for text in ("vm.LAN", "*.tail1.ts.net.", "küche.lan")]
    assert HostNames(Address("127.0.0.1", 1), hosts).allow(header) == allowed


@pytest.mark.parametrize(
    "text", ["", "*", "*.", "a*.lan", "*.*.lan", "http://vm.lan", "vm.lan:80", "a b", ".", "ö" * 99]
)
def test_names_that_nobody_can_vouch_for(text: str) -> None:
    with pytest.raises(VecaError, match=r"--allow-host .*: use a host's name such as"):
        parse_host(text)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6 and IPv4")
def test_all_addresses_are_those_of_both_families() -> None:
    with listen(Address("::", 0)) as listening:
        assert not is_local(listening)
        port = listening.getsockname()[1]
        assert page_url(listening, None) not in (f"http://[::]:{port}/", "")
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 5).close()
