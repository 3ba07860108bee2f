"""The golden table, under the names that tests use."""

from __future__ import annotations

from sdk_fallback.golden import DEVELOPER_NAMES, GOLDEN, Golden, readable

__all__ = ["DEVELOPER_NAMES", "GOLDEN", "INSTANT", "Golden", "readable"]

#: 2026-11-23T06:31:00Z is 1 164 349 860 s after 1989-12-31T00:00:00Z.
INSTANT = GOLDEN[0].reading.measured_at
