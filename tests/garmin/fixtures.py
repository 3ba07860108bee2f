"""Pytest fixtures around the stand-in, for `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import GarminStandIn


@pytest.fixture
def garmin() -> Iterator[GarminStandIn]:
    """A Garmin Connect of this test's own, which must not have stumbled over itself by the end."""
    with GarminStandIn() as stand_in:
        yield stand_in
    assert stand_in.unexpected == []
