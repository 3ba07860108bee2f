"""What is reported next to an outcome: a code for programs, a sentence for people.

Rule: programs read the code, people the text. A text may change; its code does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from .reasons import Parameter


class Code(StrEnum):
    """What a note or a warning is about."""

    # Notes: how the reading was understood.
    TIME_OF_ARRIVAL = "time-of-arrival"  # no time in the reading: the moment of the request is used
    TIME_OF_RECEIPT = "time-of-receipt"  # no time in the reading: `received_at` is used
    TIME_OF_EVENT = "time-of-event"  # no time in the reading: that of the CloudEvent around it is used
    ZONE_ASSUMED = "zone-assumed"  # a time without an offset: read in the configured zone
    TIME_OF_RECORD = "time-of-record"  # no time of the measurement: when the source stored or changed it is used
    KEY_NOT_UNDERSTOOD = "key-not-understood"  # it could say when, whose or in which unit; something else does
    UNIT_DECIDED = "unit-decided"  # in kg or in %: the other values show which
    HOUR_TWICE = "hour-twice"  # a clock change: the first of two hours was used
    HOUR_SKIPPED = "hour-skipped"  # a clock change: the time was moved forward by the gap
    NOT_MEASURED = "not-measured"
    SAID_TWICE = "said-twice"  # a percentage next to the mass it stands for
    NOT_USED = "not-used"  # known, and left out for the reason given
    NO_PLACE = "no-place"  # known, but Garmin does not store it
    PROBLEM_AT_SOURCE = "problem-at-source"  # the source reports a problem with something other than the weight
    HEIGHT_OF_PERSON = "height-of-person"
    SKELETAL_MUSCLE = "skeletal-muscle"  # sent as Garmin's muscle, as configured for the person
    MUSCLE_LEFT_OUT = "muscle-left-out"  # the person's muscle is skeletal muscle, and the reading has none

    # Warnings: what a person should look at, so the summary has them. The second is among the notes too.
    NOT_RECOGNIZED = "not-recognized"  # unknown keys, which could only have added a value
    LEFT_OUT_IN_DOUBT = "left-out-in-doubt"  # out of its range, or it contradicts the other values
    UNUSUAL = "unusual"  # sent; possible, and more often a slip

    # Notes: what became of it.
    SAME_WEIGHING = "same-weighing"  # part of a weigh-in at another instant, to which it adds nothing
    COMPLETES_WEIGH_IN = "completes-weigh-in"  # its values were added to a weigh-in that was there already

    # Warnings: what happened to it.
    FELL_BACK = "fell-back"  # an earlier delivery did not take it
    OTHER_FILES_KEPT = "other-files-kept"  # the folder holds other values for this instant
    GARMIN_REMARK = "garmin-remark"
    NOT_SHOWN = "not-shown"  # Garmin shows the entry without these values
    NOT_VISIBLE_YET = "not-visible-yet"
    SHOWN_DIFFERENTLY = "shown-differently"
    LOOK_FAILED = "look-failed"
    PERSONAL_API_FAILED = "personal-api-failed"
    ENTRIES_UNREADABLE = "entries-unreadable"  # Garmin lists weigh-ins in a form that is not known
    REPLACED_ENTRY_REMAINS = "replaced-entry-remains"
    REPLACED_ENTRY_HAD_MORE = "replaced-entry-had-more"  # values of the replaced entry that the new one does not have


class Note(NamedTuple):
    code: Code
    text: str
    #: The numbers and names in the text, for a translation. Only a note that a person should look at has any.
    params: Mapping[str, Parameter] = MappingProxyType({})
