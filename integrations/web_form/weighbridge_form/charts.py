"""Weight, fat, muscle and water over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import streamlit as st

from .clock import moment, zone
from .values import Point, moving_average

AVERAGE_DAYS = 7
CHARTS = {
    "weight_kg": "Weight (kg)",
    "body_fat_percent": "Body fat (%)",
    "muscle_mass_kg": "Muscle (kg)",
    "body_water_percent": "Water (%)",
}


def draw(rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the charts of these weigh-ins, oldest first."""
    charts = [(name, title) for name, title in CHARTS.items() if any(name in row for row in rows)]
    for start in range(0, len(charts), 2):
        for column, (name, title) in zip(st.columns(2), charts[start : start + 2], strict=False):
            with column:
                _chart(title, [Point(moment(row["measured_at"]), row[name]) for row in rows if name in row])
    st.markdown(f"Dots are weigh-ins. The line is the mean of {AVERAGE_DAYS} days.")


def _chart(title: str, points: Sequence[Point]) -> None:
    here = zone()

    def data(some: Sequence[Point]) -> alt.Data:
        # Without an offset, so the browser does not convert the local time again.
        values = [{"time": f"{p.moment.astimezone(here):%Y-%m-%dT%H:%M:%S}", "value": round(p.value, 3)} for p in some]
        return alt.Data(values=values)  # type: ignore[no-untyped-call]

    x = alt.X("time:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=4))
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(format="~g", tickCount=5))
    dots = alt.Chart(data(points)).mark_point(filled=True, color="#595f69", opacity=0.6).encode(x, y)
    line = alt.Chart(data(moving_average(points, AVERAGE_DAYS))).mark_line(color="#0b6e4f").encode(x, y)
    chart = alt.layer(dots, line).properties(title=title, height=180)
    low, high = min(p.value for p in points), max(p.value for p in points)
    st.altair_chart(
        chart, alt=f"{title}: {len(points)} weigh-ins from {low:g} to {high:g}, the last is {points[-1].value:g}"
    )
