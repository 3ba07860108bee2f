"""What there is to say beside an outcome: a code for programs, a sentence for people.

Rule: programs read the code and people the text. A code stays what it is when its sentence is written better.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Code(StrEnum):
    """What a note or a warning is about."""

    # Notes: how the reading was understood.
    TIME_OF_ARRIVAL = "time-of-arrival"  # it has no time, so the moment of the request counts
    TIME_OF_RECEIPT = "time-of-receipt"  # it has no time, so `received_at` counts
    HOUR_TWICE = "hour-twice"  # a clock change: the first of two hours was taken
    HOUR_SKIPPED = "hour-skipped"  # a clock change: the time was moved on by the gap
    NOT_MEASURED = "not-measured"
    SAID_TWICE = "said-twice"  # a share beside the mass that it stands for
    NOT_USED = "not-used"  # known, and left out for the reason that is given
    NO_PLACE = "no-place"  # known, but Garmin has no place for it
    PROBLEM_AT_SOURCE = "problem-at-source"  # the source reports a problem with something other than the weight
    HEIGHT_OF_PERSON = "height-of-person"
    SKELETAL_MUSCLE = "skeletal-muscle"  # sent as Garmin's muscle, as set up for the person
    MUSCLE_LEFT_OUT = "muscle-left-out"  # the person's muscle is the skeletal one, and none came

    # Warnings: what became of it.
    FELL_BACK = "fell-back"  # a delivery before this one did not take it
    OTHER_FILES_KEPT = "other-files-kept"  # the folder holds other values for this instant
    GARMIN_REMARK = "garmin-remark"
    NOT_SHOWN = "not-shown"  # Garmin shows the entry without these values
    NOT_VISIBLE_YET = "not-visible-yet"
    SHOWN_DIFFERENTLY = "shown-differently"
    LOOK_FAILED = "look-failed"
    PERSONAL_API_FAILED = "personal-api-failed"
    REPLACED_ENTRY_REMAINS = "replaced-entry-remains"


class Note(NamedTuple):
    code: Code
    text: str
