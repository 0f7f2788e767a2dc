"""Changes of small valid samples: of their bytes, of members of archives, of plain values. All from one seed."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

HUGE = (2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**40, 10**400, -1, -(2**63), 0)
NUMBERS = (1e308, float("nan"), float("inf"), -0.0)
TEXTS = ("", "\ud800", "a\n\x1b[2J", "../../x", "\0")
OTHERS: tuple[Any, ...] = (None, True, [], {}, [[]])
BYTES = (b"[", b"{", b"(", b"\x85", b"\0", b"\xff", b"9", b"a.")


def mutated_bytes(data: bytes, dice: random.Random) -> bytes:
    """One to four changes: bits, cuts, lengths, copies."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(changed) + 1)
        end = min(len(changed), at + dice.choice((1, 2, 4, 8, 64, 1024)))
        kind = dice.randrange(7)
        if kind == 0 and changed:
            changed[min(at, len(changed) - 1)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            del changed[at:end]
        elif kind == 3:
            changed[at:at] = changed[at:end] * dice.choice((1, 2, 100))
        elif kind == 4:
            width = dice.choice((1, 2, 4, 8))
            changed[at : at + width] = (dice.choice(HUGE) % 256**width).to_bytes(
                width, dice.choice(("little", "big"))
            )
        elif kind == 5:
            changed[at:end] = dice.randbytes(end - at)
        else:
            changed[at:at] = dice.choice((b"[", b"{", b"(", b"\x85", b"\0", b"\xff", b"9", b"a.")) * dice.choice(
                (1, 9, 9999)
            )
    return bytes(changed)


def mutated_value(value: Any, dice: random.Random) -> Any:
    """A plain value with one change somewhere in it."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        name = dice.choice(list(value))
        kind = dice.randrange(8)
        if kind == 0:
            return {key: item for key, item in value.items() if key != name}
        if kind == 1:
            return {**value, dice.choice((f"{name} ", 7, "x" * 5000)): value[name]}
        if kind == 2:
            return {**value, name: value[dice.choice(list(value))]}
        return {**value, name: mutated_value(value[name], dice)}
    if isinstance(value, (list, tuple)) and value and dice.random() < 0.8:
        at = dice.randrange(len(value))
        changed = [*value[:at], mutated_value(value[at], dice), *value[at + 1 :]]
        return changed * dice.choice((1, 1, 1, 0, 3))
    return dice.choice((strange, deep, tangled, lambda dice: [value, value], lambda dice: str(value)))(dice)


def strange(dice: random.Random) -> Any:
    return dice.choice((*HUGE, *NUMBERS, *TEXTS, *OTHERS))


def deep(dice: random.Random) -> Any:
    """Lists or tables in each other."""
    value: Any = 1
    for _ in range(dice.choice((10, 40, 90))):  # torch.save can write no deeper ones
        value = [value] if dice.random() < 0.5 else {"a": value}
    return value


def tangled(dice: random.Random) -> Any:
    """A list that is written out for ever, but small where references are shared."""
    value: Any = [1]
    for _ in range(dice.choice((3, 12))):
        value = [value, value]
    return value


def mutated_json(data: bytes, dice: random.Random) -> bytes:
    """A JSON document with one change of a value, or of its bytes, or a name twice; of lines, of one of them."""
    lines = data.splitlines() if data.count(b"\n") and not data.startswith(b"{\n") else [data]
    at = dice.randrange(len(lines))
    kind = dice.randrange(4)
    if kind == 0:
        lines[at] = mutated_bytes(lines[at], dice)
    elif kind == 1:
        lines[at] = lines[at].replace(b"{", b'{"step": 1, "step": 2, ', 1)
    else:
        lines[at] = json.dumps(mutated_value(json.loads(lines[at]), dice)).encode()
    return b"\n".join(lines)


def mutated_archive(data: bytes, dice: random.Random, inside: Callable[[str, bytes], bytes]) -> bytes:
    """An archive with one member changed, its checksum and lengths as they should be; or tampered members."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(member.filename, old.read(member)) for member in old.infolist()]
        start = old.infolist()[0].header_offset
    at = dice.randrange(len(members))
    name, content = members[at]
    kind = dice.randrange(8)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((name, content))
    elif kind == 2:
        members[at] = (dice.choice(("../" + name, name + "x", "é" * 200, name.upper())), content)
    else:
        members[at] = (name, inside(name, content))
    buffer = io.BytesIO(data[:start])
    method = zipfile.ZIP_DEFLATED if kind == 3 else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "a" if start else "w", method) as new:
        for name, content in members:
            new.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()
