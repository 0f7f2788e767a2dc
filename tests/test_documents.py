from __future__ import annotations

import json
from time import perf_counter

import pytest

from veca_edge.documents import parse_json, parse_toml
from veca_edge.errors import VecaError


def test_documents_are_plain_values() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "ä"}], "c": 2**63}
    for text in (json.dumps(value), json.dumps(value).encode("utf-16"), json.dumps(value).encode("utf-8-sig")):
        assert parse_json(text) == value
    assert parse_toml('\ufeffa = [1, 2.5]\r\n[b]\nc = "ä"\n'.encode()) == {"a": [1, 2.5], "b": {"c": "ä"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "32 deep"),
        ("[" * 40 + "]" * 40, "32 deep"),
        ('{"a":' * 40 + "1" + "}" * 40, "32 deep"),
        (f"[{'9' * 5000}]", "is not JSON"),
        (f"[{'9' * 400}]", "a whole number of 1329 bits"),
        (f"[{10**30}]", "use whole numbers of at most 64 bits"),
        ('{"a": 1, "a": 2}', "'a' twice"),
        (r'["\ud800"]', "half of which is missing"),
        (b"\xff\xfe\xff", "is not JSON"),
        ("[" + "1," * 600_000 + "1]", "more than 1024 kB"),
    ],
)
def test_json_that_would_harm_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(VecaError, match=message):
        parse_json(text, 1 << 20)


@pytest.mark.parametrize("text", ["[" + "[]," * 9 + "[]]", b'[{"a": 1}, {}, {"a": [[], {}]}, {}, {}, {}, {}]'])
def test_lists_and_tables_that_would_fill_the_memory_are_not_made(
    text: str | bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parse_json(text)
    monkeypatch.setattr("veca_edge.documents.MOST_TABLES", 9)
    with pytest.raises(VecaError, match="more than 9 lists and tables"):
        parse_json(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a = " + b"[" * 20_000, "deep|not TOML"),
        (b"a." * 30_000 + b"a = 1", "32 deep"),
        (b"a = " + b"9" * 5000, "is not TOML"),
        (b"a = 0x" + b"f" * 5000, "a whole number of 20000 bits"),
        (b"a = 1\na = 2", "is not TOML"),
        (b"a = 2020-99-99", "is not TOML"),
        (b"a = '\xff'", "is not TOML"),
        (b"#" * 100_000, "more than 64 kB"),
    ],
)
def test_toml_that_would_harm_is_refused(data: bytes, message: str) -> None:
    start = perf_counter()
    with pytest.raises(VecaError, match=message):
        parse_toml(data)
    assert perf_counter() - start < 10
