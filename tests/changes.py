"""Changes of documents and bytes, as a broken or a hostile program could make them, for any test.

Strategy: they are drawn from a seed, so what fails once fails again.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

SECRET = "planted-secret-of-a-caller"
MEASURED = "73.219"
#: What must not be in any log.
PLANTED = (SECRET, MEASURED, MEASURED.replace(".", ""))

#: What takes the place of a value.
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1e308, -1e-308, 10**30, -(10**30), 10**400, 0.1 + 0.2, float("nan"), float("inf")),
    *(
        "",
        " ",
        "\0",
        "%0d%0a",
        "\ud800",
        "🏋" * 9,
        "٨١٫٤",
        "81,4;81,4",
        "1e999999999",
        "-0",
        "0x51",
        "NaN",
        "81.4 lb oz",
    ),
    *("2026-02-30", "24:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "now", "0001-01-01", 2**63, -(2**63)),
    *([], {}, [[]], [None], {"": ""}, {"weight": {}}, {"value": {"value": 1}}, {"unit": "kg"}, [81.4, 81.4]),
    *("../../etc/passwd", "<script>", "'; DROP TABLE readings; --", "{{7*7}}", "${jndi:ldap://x}", SECRET, MEASURED),
    *(float(MEASURED), {"value": float(MEASURED), "unit": SECRET}, [float(MEASURED), SECRET]),
)
#: What takes the place of a key.
KEYS = (
    *("weight", "Weight", "mass", "unit", "time", "date", "measured_at", "received_at", "person", "user", "timezone"),
    *("event", "data", "message", "measures", "value", "results", "body fat", "bmi", "height", "__proto__", "", " "),
    *(SECRET, "a" * 3000, "\u202eweight", "weight\0", "wéight", "unix-timestamp", "is_deleted", "specversion"),
)


def with_change(document: object, dice: random.Random) -> object:
    """One change at a place in the document, itself included."""
    places = list(places_of(document))
    if not places or dice.random() < 0.05:
        return dice.choice([[document] * dice.randint(0, 5), {"data": document}, nested(document, 200)])
    parent, key = dice.choice(places)
    value = parent[key]
    match dice.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[dice.choice(KEYS)] = parent.pop(key)
        case 2 if isinstance(parent, dict):
            parent[dice.choice(KEYS)] = dice.choice(VALUES)
        case 3:
            parent[key] = dice.choice([[value], {"value": value}, {"": value}, str(value), [value] * 20])
        case 4 if isinstance(value, int | float) and abs(value) < 1e100:
            parent[key] = value * dice.choice([-1, 0, 0.001, 2.2046, 10, 1000, 1e9])
        case _:
            parent[key] = copy.deepcopy(dice.choice(VALUES))
    return document


def places_of(document: object) -> Iterator[tuple[Any, Any]]:
    """Each (object or list, key in it)."""
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in inside:
        yield document, key
        yield from places_of(value)


def nested(document: object, depth: int) -> object:
    for _ in range(depth):
        document = [document]
    return document


def _at(content: bytes, dice: random.Random) -> int:
    return dice.randint(0, len(content))


IN_PLACE_OF_A_MARK = (b"", b":", b",,", b"[[[[")
IN_FRONT = (b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\n\n", b"{" * 2000, b"[" * 2000)
BYTE_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda content, dice: content[: _at(content, dice)],
    lambda content, dice: content[: (at := _at(content, dice))] + dice.randbytes(3) + content[at:],
    lambda content, dice: content[: (at := _at(content, dice))] + dice.randbytes(1) + content[at + 1 :],
    lambda content, dice: content[: (at := _at(content, dice))] + content[at + dice.randint(1, 9) :],
    lambda content, dice: content[: _at(content, dice)] + content[_at(content, dice) :],
    lambda content, dice: content.replace(dice.choice((b":", b",", b'"', b"}")), dice.choice(IN_PLACE_OF_A_MARK), 1),
    lambda content, dice: dice.choice(IN_FRONT) + content,
)


def damaged(content: bytes, dice: random.Random, times: int = 1) -> bytes:
    """The bytes with some missing, doubled, moved or replaced."""
    for _ in range(times):
        content = dice.choice(BYTE_CHANGES)(content, dice)
    return content
