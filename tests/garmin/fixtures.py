"""Pytest fixtures around the stand-in, for `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import GarminStandIn


@pytest.fixture
def garmin() -> Iterator[GarminStandIn]:
    """A Garmin Connect for this test. The test fails if the stand-in itself had an error."""
    with GarminStandIn() as stand_in:
        yield stand_in
    assert stand_in.unexpected == []
