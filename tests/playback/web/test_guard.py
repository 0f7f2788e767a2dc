from __future__ import annotations

import pytest

from tests.fakes import Clock
from veca_edge.errors import VecaError
from veca_edge.playback.web import guard
from veca_edge.playback.web.guard import Allowance, Guard, address_key, check_token, new_token


def test_tokens() -> None:
    assert check_token(new_token()) != check_token(new_token())
    for bad in ("", "short", "with spaces in it and long", "ünicode-and-long-enough", "x" * 129):
        with pytest.raises(VecaError, match="use 16 to 128 of the characters"):
            check_token(bad)


def test_allowance_refills_and_forgets_the_oldest() -> None:
    clock = Clock()
    allowance = Allowance(2, 0.5, clock)
    assert [allowance.take("a") for _ in range(3)] == [True, True, False]
    assert allowance.take("b")
    clock.now += 2
    assert [allowance.take("a") for _ in range(2)] == [True, False]
    for number in range(guard.ADDRESSES):
        allowance.take(str(number))
    assert len(allowance._left) == guard.ADDRESSES
    assert allowance.left("a") == 2


def test_without_a_token_everyone_is_known() -> None:
    assert Guard(None).knows("a", None)


def test_wrong_tokens_run_out_per_address() -> None:
    clock = Clock()
    token = new_token()
    watch = Guard(token, clock)
    assert watch.knows("a", f"Bearer {token}")
    assert not watch.knows("a", None)
    assert watch.may_guess("a")  # to bring none is not a guess
    for wrong in ("Bearer x", "", f"Bearer {token}x", "Bearer \udcff", token[:-1]) * 2:
        assert not watch.knows("a", wrong)
    assert not watch.may_guess("a")
    assert watch.may_guess("b")
    clock.now += 11
    assert watch.may_guess("a")


def test_connections_are_counted_per_address_and_in_all() -> None:
    watch = Guard(None)
    assert all(watch.enter("a") for _ in range(guard.CONNECTIONS_PER_ADDRESS))
    assert not watch.enter("a")
    others = guard.CONNECTIONS - guard.CONNECTIONS_PER_ADDRESS
    assert all(watch.enter(f"b{number}") for number in range(others))
    assert not watch.enter("c")
    watch.leave("a")
    assert watch.enter("c")


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("odd", "odd"),
    ],
)
def test_one_machine_is_one_address(host: str, key: str) -> None:
    assert address_key(host) == key
