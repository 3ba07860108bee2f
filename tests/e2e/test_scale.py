"""Several functions behind nginx, one Postgres and many people: `python -m scripts.scale`, in small."""

from __future__ import annotations

import pytest

from scripts.scale import Wanted, measure, report


@pytest.mark.parametrize("way", ["direct", "outbox"])
def test_each_reading_once(way: str) -> None:
    """Whichever function a reading reaches, it is in its own account once, and each token is renewed once."""
    found = measure(Wanted(functions=2, people=5, readings=15, way=way))
    assert (found.stored, found.wrong_accounts) == (15, 0)
    assert (found.renewals, found.refused_renewals) == (5, 0)
    assert found.garmin["upload"] <= 15
    assert "15 of 15" in report(found)
