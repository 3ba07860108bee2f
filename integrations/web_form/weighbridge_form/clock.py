"""Times in the browser's zone, for the eye.

Rule: only the function reads a time that was typed or pasted. The page sends it as it is, with the name of the zone.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from .words import Language, language, plural


def zone() -> ZoneInfo:
    """The browser's zone, or UTC if it is unknown."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def local(measured_at: str) -> str:
    return moment(measured_at).astimezone(zone()).isoformat(" ")


def to_display(measured_at: str, of: Language | None = None) -> str:
    """`of`: another language than that of the browser."""
    at, of = moment(measured_at).astimezone(zone()), of or language()
    return f"{of.date(at)}, {of.clock(at.time())}"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return plural("{count} minute", "{count} minutes", round(seconds / 60))
    return plural("{count} hour", "{count} hours", round(seconds / 3600))
