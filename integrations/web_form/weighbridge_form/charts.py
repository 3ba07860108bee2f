"""Weight, fat, muscle and water over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
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


#: A weigh-in that is out of line with the others has its own color and shape.
MARKED = "#b3261e"


def draw(rows: Sequence[Mapping[str, Any]], marked: Sequence[Point] = ()) -> None:
    """Draw the charts of these weigh-ins, oldest first. `marked`: weights that are out of line with them."""
    charts = [(name, title) for name, title in CHARTS.items() if any(name in row for row in rows)]
    for start in range(0, len(charts), 2):
        for column, (name, title) in zip(st.columns(min(2, len(charts))), charts[start : start + 2], strict=False):
            with column:
                points = [Point(moment(row["measured_at"]), row[name]) for row in rows if name in row]
                _chart(title, points, marked if name == "weight_kg" else ())
    triangles = " Triangles are out of line with the others; one at the edge is off the scale." * bool(marked)
    st.markdown(f"Dots are weigh-ins. The line is the mean of {AVERAGE_DAYS} days.{triangles}")


def _chart(title: str, points: Sequence[Point], marked: Sequence[Point]) -> None:
    here = zone()

    def data(some: Sequence[Point]) -> alt.Data:
        # Without an offset, so the browser does not convert the local time again.
        values = [{"time": f"{p.moment.astimezone(here):%Y-%m-%dT%H:%M:%S}", "value": round(p.value, 3)} for p in some]
        return alt.Data(values=values)  # type: ignore[no-untyped-call]

    low, high = min(p.value for p in points), max(p.value for p in points)
    # The scale is that of the dots, so pounds among kilograms do not flatten them.
    scale = alt.Scale(domain=[low - 1, high + 1], clamp=True) if marked else alt.Scale(zero=False, nice=True)
    years = points[-1].moment - points[0].moment > timedelta(days=365)
    x = alt.X("time:T", title=None, axis=alt.Axis(format="%b %Y" if years else "%-d %b", tickCount=4))
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(format="~g", tickCount=5))
    layers = [
        alt.Chart(data(points)).mark_point(filled=True, color="#595f69", opacity=0.6).encode(x, y),
        alt.Chart(data(moving_average(points, AVERAGE_DAYS))).mark_line(color="#0b6e4f").encode(x, y),
    ]
    if marked:
        layers.append(
            alt.Chart(data(marked)).mark_point(filled=True, color=MARKED, shape="triangle-up", size=90).encode(x, y)
        )
    others = f"; {len(marked)} are out of line with them" if marked else ""
    st.altair_chart(
        alt.layer(*layers).properties(title=title, height=180),
        alt=f"{title}: {len(points)} weigh-ins from {low:g} to {high:g}, the last is {points[-1].value:g}{others}",
    )
