"""The axis that all charts share, and the values that are calculated for them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge_form.trend import LEAST_DAYS, MOST_TICKS, VALUES, axis_of, extent_of, title_of, with_calculated

LAST = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("days", "ticks"),
    [
        (0, ["21 Nov", "23 Nov", "25 Nov", "27 Nov"]),
        (2, ["21 Nov", "23 Nov", "25 Nov", "27 Nov"]),
        (11, ["18 Nov", "21 Nov", "24 Nov", "27 Nov"]),
        (30, ["30 Oct", "6 Nov", "13 Nov", "20 Nov", "27 Nov"]),
        (91, ["Sep 2026", "Oct 2026", "Nov 2026"]),
        (365, ["Jan 2026", "Apr 2026", "Jul 2026", "Oct 2026"]),
        (365 * 8, ["2020", "2022", "2024", "2026"]),
    ],
)
def test_ticks_fit_the_days(days: int, ticks: list[str]) -> None:
    """The ticks are days, months or years, and a single weigh-in has a week around it."""
    axis = axis_of(LAST - timedelta(days=days), LAST)
    assert [f"{tick:{axis.format}}" for tick in axis.ticks] == ticks


@given(days=st.integers(0, 40_000), last=st.dates(date(2000, 1, 1), date(2125, 12, 31)))
def test_few_ticks_within_the_axis(days: int, last: date) -> None:
    """Any axis covers its days and at least a week, and has one to five ticks within it, in order."""
    first = max(date(1900, 1, 1), last - timedelta(days=days))
    axis = axis_of(first, last)
    assert axis.start.date() <= first
    assert axis.end.date() == last + timedelta(days=1)
    assert axis.end - axis.start >= timedelta(days=LEAST_DAYS)
    assert 1 <= len(axis.ticks) <= MOST_TICKS
    assert list(axis.ticks) == sorted(set(axis.ticks))
    assert axis.start <= axis.ticks[0] <= axis.ticks[-1] < axis.end


def test_noise_is_no_trend() -> None:
    """The vertical axis spans at least one unit, and always a little more than the values."""
    assert extent_of([81.4]) == pytest.approx((80.9, 81.9))
    assert extent_of([80, 90]) == pytest.approx((79.2, 90.8))


def test_fat_is_calculated_where_it_is_missing() -> None:
    """Fat mass and fat-free mass are calculated from weight and body fat, unless they are there."""
    at = {"measured_at": "2026-11-22T06:31:00Z"}
    calculated = with_calculated(at | {"weight_kg": 80, "body_fat_percent": 20})
    assert (calculated["fat_mass_kg"], calculated["fat_free_mass_kg"]) == (16, 64)
    assert with_calculated(at | {"weight_kg": 80, "body_fat_percent": 20, "fat_mass_kg": 15})["fat_mass_kg"] == 15
    assert with_calculated(at | {"weight_kg": 80}) == at | {"weight_kg": 80}


def test_nine_values_and_the_index() -> None:
    """Nine values and the body mass index can be drawn, with the labels of the function."""
    assert len(VALUES) == 10
    assert [title_of(name) for name in ("body_fat_percent", "visceral_fat_rating", "bmi")] == [
        "Body fat (%)",
        "Visceral fat",
        "Body mass index (kg/m²)",
    ]
