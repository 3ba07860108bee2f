"""The golden table: readings and the raw integers that they are in FIT, written by hand in `golden.json`.

Every direction uses it: encode, patch, prove, and each outside decoder and encoder. A float32 developer field is
written as its value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from weighbridge.fit.profile import DEVELOPER, FIELDS, value_of
from weighbridge.reading.reading import Reading

DEVELOPER_NAMES = frozenset(field.name for field in DEVELOPER)


@dataclass(frozen=True)
class Golden:
    name: str
    reading: Reading
    raws: dict[str, int | float] = field(hash=False)

    @property
    def native(self) -> dict[str, int | float]:
        return {name: raw for name, raw in self.raws.items() if name not in DEVELOPER_NAMES}


def readable(raws: dict[str, int]) -> dict[str, int | float]:
    """Raw integers in the form that the table has."""
    return {name: value_of(FIELDS[name], raw) if name in DEVELOPER_NAMES else raw for name, raw in raws.items()}


def _golden(entry: dict[str, Any]) -> Golden:
    values: dict[str, Any] = {
        name: datetime.fromisoformat(text) if name == "measured_at" else Decimal(text)
        for name, text in entry["reading"].items()
    }
    return Golden(entry["name"], Reading(**values), entry["raw"])


GOLDEN = tuple(map(_golden, json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))))

#: The reading with the most values.
FULLEST = max(GOLDEN, key=lambda golden: len(golden.raws))
