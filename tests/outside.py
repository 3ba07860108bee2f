"""Decoders that we did not write. One that is missing skips its test, and fails it where CI is set."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from sdk_fallback import witnesses
from sdk_fallback.witnesses import WeighIn, WitnessMissing, by_fitdecode, by_garmin_python

__all__ = ["WeighIn", "by_fitdecode", "by_garmin_javascript", "by_garmin_python"]


def by_garmin_javascript(contents: Sequence[bytes]) -> list[list[WeighIn]]:
    try:
        return witnesses.by_garmin_javascript(contents)
    except WitnessMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
