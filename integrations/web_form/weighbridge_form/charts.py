"""Charts of weigh-ins over time: dots, and the mean of seven days as a line.

Facts: Streamlit draws Altair's charts with its theme, light or dark; a color that is given here is the same in both. So
these have a contrast of at least 3 : 1 with white and with the dark background (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import altair as alt
import streamlit as st

from .clock import moment, to_display, zone
from .trend import Axis, axis_of, extent_of, on_axis, title_of
from .values import Point, moving_average
from .words import _, language, language_of, number, plural

AVERAGE_DAYS = 7
DOTS, LINE = "#7d8790", "#1a936a"
#: A weigh-in that is out of line with the others has its own color and shape.
MARKED = "#d1453b"
#: The first chart is the largest; the last one has the labels of the axis that all of them share.
FIRST_PX, OTHERS_PX, LABELS_PX = 145, 96, 20
#: Of the labels of the vertical axis, so that the charts have the same width.
LABELS_WIDTH_PX = 40
#: A label that is so near to an edge stays within it.
FLUSH_PX = 30
#: More dots are smaller.
MANY = 60
#: Charts that a session keeps.
MOST_KNOWN = 40


def axis_over(rows: Sequence[Mapping[str, Any]]) -> Axis:
    """The axis for these weigh-ins, oldest first."""
    days = [moment(row["measured_at"]).astimezone(zone()).date() for row in (rows[0], rows[-1])]
    return axis_of(days[0], days[-1])


def draw(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    axis: Axis,
    marked: Sequence[Point] = (),
    *,
    about: str = "",
) -> list[str]:
    """Draw these values of the weigh-ins, oldest first. Returns the names of those that no weigh-in has.

    Weigh-ins before the axis count for the mean. `marked`: weights that are out of line with the others. `about`: a
    sentence for the text below the charts.
    """
    of_names = {
        name: [Point(moment(row["measured_at"]), row[name]) for row in rows if name in row and _at(row) < axis.end]
        for name in names
    }
    drawn = [name for name, points in of_names.items() if any(_local(point.moment) >= axis.start for point in points)]
    for name in drawn:
        height_px = (FIRST_PX if name == drawn[0] else OTHERS_PX) + (LABELS_PX if name == drawn[-1] else 0)
        of_weight = tuple(marked) if name == "weight_kg" else ()
        spec, text = _once(title_of(name), tuple(of_names[name]), of_weight, axis, height_px, name == drawn[-1])
        st.vega_lite_chart(spec=spec, alt=text)
    if drawn:
        texts = [about] if about else []
        texts.append(_("Dots are weigh-ins. The line is the mean of {days} days.", days=AVERAGE_DAYS))
        if marked:
            texts.append(_("Triangles are out of line with the others; one at the edge is off the scale."))
        st.caption(" ".join(texts))
    return [name for name in names if name not in drawn]


def _local(when: datetime) -> datetime:
    return when.astimezone(zone()).replace(tzinfo=None)


def _at(row: Mapping[str, Any]) -> datetime:
    return _local(moment(row["measured_at"]))


def _once(*what: Any) -> tuple[dict[str, Any], str]:
    """The same as `_chart`, which is called once for the same chart of a session: the page is drawn again at each
    change of a field, and Altair takes longer than all the rest of it."""
    known, key = st.session_state.setdefault("charts", {}), (*what, zone().key, language())
    if key not in known:
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[key] = _chart(*what)
    found: tuple[dict[str, Any], str] = known[key]
    return found


def _chart(
    title: str,
    points: Sequence[Point],
    marked: Sequence[Point],
    axis: Axis,
    height_px: int,
    is_last: bool,
) -> tuple[dict[str, Any], str]:
    """A chart as Vega-Lite, and its text for who cannot see it. The times are in the zone of the browser."""
    averages = [point for point in moving_average(points, AVERAGE_DAYS) if _local(point.moment) >= axis.start]
    points = [point for point in points if _local(point.moment) >= axis.start]
    low, high = min(point.value for point in points), max(point.value for point in points)

    def data(some: Sequence[Point]) -> alt.Data:
        values = [
            {
                "time": on_axis(_local(point.moment)),
                "value": round(point.value, 3),
                "when": to_display(point.moment.isoformat()),
                "says": _in_short(point.value),
            }
            for point in some
        ]
        return alt.Data(values=values)  # type: ignore[no-untyped-call]

    x = alt.X(
        "time:T",
        title=None,
        scale=alt.Scale(type="utc", domain=[on_axis(axis.start), on_axis(axis.end)]),
        axis=alt.Axis(
            format=_(axis.format),
            values=[on_axis(tick) for tick in axis.ticks],
            labels=is_last,
            # Inward at the edges: a label that sticks out would make this chart narrower than the others.
            labelFlush=FLUSH_PX,
            labelOverlap="greedy",
            labelPadding=6,
            ticks=False,
            grid=True,
        ),
    )
    # The scale is that of the dots, so pounds among kilograms do not flatten them.
    extent = [*extent_of([point.value for point in (*points, *averages)])]
    y = alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(domain=extent, clamp=bool(marked), zero=False, nice=False),
        axis=alt.Axis(format="~g", tickCount=3, labelPadding=8, minExtent=LABELS_WIDTH_PX, maxExtent=LABELS_WIDTH_PX),
    )
    tooltip = [alt.Tooltip("when:N", title=_("Time")), alt.Tooltip("says:N", title=title)]
    size = 20 if len(points) > MANY else 45
    layers = [
        alt.Chart(data(points)).mark_point(filled=True, color=DOTS, opacity=0.8, size=size).encode(x, y, tooltip),
        alt.Chart(data(averages)).mark_line(color=LINE, strokeWidth=2.5).encode(x, y),
    ]
    if marked:
        marks = alt.Chart(data(marked)).mark_point(filled=True, color=MARKED, shape="triangle-up", size=90, opacity=1)
        layers.append(marks.encode(x, y, tooltip))
    count, last = plural("{count} weigh-in", "{count} weigh-ins", len(points)), _in_short(points[-1].value)
    about = _(
        "{count} from {low} to {high}, the last is {last}",
        count=count,
        low=_in_short(low),
        high=_in_short(high),
        last=last,
    )
    others = f"; {_('{count} are out of line with them', count=len(marked))}" if marked else ""
    heading = _("{last} · 7-day mean {mean}", last=last, mean=number(averages[-1].value, 1))
    chart = alt.layer(*layers).properties(
        title=alt.TitleParams(f"{title}: {heading}", fontSize=14, offset=6),
        height=height_px,
        padding={"left": 0, "top": 2, "right": 4, "bottom": 0},
    )
    return chart.configure(locale=_locale(language().tag)).to_dict(), f"{title}: {about}{others}"


def _in_short(value: float) -> str:
    """Four digits, as a scale shows them."""
    return number(float(f"{value:.4g}"))


@cache
def _locale(tag: str) -> alt.Locale:
    """How Vega writes numbers and dates on an axis (d3-format, d3-time-format)."""
    of = language_of(tag).locale
    signs, days, months = of.number_symbols["latn"], of.days["format"], of.months["format"]

    def named(names: Mapping[str, Mapping[int, str]], length: str, numbers: Sequence[int]) -> list[str]:
        return [names[length][number] for number in numbers]

    # CLDR's week starts with Monday, that of d3 with Sunday.
    week, year = (6, 0, 1, 2, 3, 4, 5), range(1, 13)
    return alt.Locale(
        number=alt.NumberLocale(decimal=signs["decimal"], thousands=signs["group"], grouping=[3], currency=["", ""]),
        time=alt.TimeLocale(
            dateTime="%Y-%m-%d %H:%M:%S",
            date="%Y-%m-%d",
            time="%H:%M:%S",
            periods=["AM", "PM"],
            days=named(days, "wide", week),
            shortDays=named(days, "abbreviated", week),
            months=named(months, "wide", year),
            shortMonths=named(months, "abbreviated", year),
        ),
    )
