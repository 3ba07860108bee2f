"""What is reported next to an outcome: a code for programs, a sentence for people.

Rule: programs read the code, people the text. A text may change; its code does not. A note is a reason (`reasons`) of
this table, so it is said in any language.
"""

from __future__ import annotations

from enum import unique
from typing import TypeAlias

from .reasons import Reason, Sentences


@unique
class Code(Sentences):
    """What a note or a warning is about, and its sentence: `Code.TIME_OF_EVENT()`."""

    # Notes: how the reading was understood.
    TIME_OF_ARRIVAL = "No time was given, so the time of arrival counts. Sent again, it would be another weigh-in."
    TIME_OF_RECEIPT = "No time was given, so {key!r} is used."  # `received_at`
    TIME_OF_EVENT = "No time was given, so the time of the event is used."  # the CloudEvent around it
    ZONE_ASSUMED = (
        "{key!r}: This time has no offset, so it was read in {zone}. Send it with an offset, or set "
        "WEIGHBRIDGE_TIMEZONE."
    )
    TIME_OF_RECORD = "No time of the measurement was given, so {key!r} is used."  # when it was stored or changed
    KEY_NOT_UNDERSTOOD = "{key!r} was not understood. It could say {question}."  # something else answers it
    UNIT_DECIDED = "{key!r} is in {unit}: the other values show it."  # kg or %
    HOUR_TWICE = "{key!r}: This hour occurs twice in {zone}; the first one was used. Send the time with an offset."
    HOUR_SKIPPED = "{key!r}: This hour does not exist in {zone}; {time} was used. Send the time with an offset."
    NOT_MEASURED = "{key!r} was not measured."  # zero means that, too
    SAID_TWICE = "{key!r} was left out, because {kept!r} says the same."  # a percentage next to its mass
    NOT_USED = "{key!r} was not used: {reason}."
    NO_PLACE = "Not stored by Garmin: {keys}."
    PROBLEM_AT_SOURCE = "{key!r} reports a problem with this weigh-in, but not with the weight."
    HEIGHT_OF_PERSON = "The height is the one configured for {person}."
    SKELETAL_MUSCLE = "Skeletal muscle is sent as Garmin's muscle, as configured for {person}."
    MUSCLE_LEFT_OUT = "The muscle mass was left out: Garmin shows skeletal muscle for {person}, and none came."

    # Warnings: what a person should look at, so the summary has them. The second is among the notes too.
    NOT_RECOGNIZED = "Not recognized: {keys!r}."  # they could only have added a value
    LEFT_OUT_IN_DOUBT = "Left out as doubtful: {names!r}. {reason}"
    UNUSUAL = "{reason} Is that right?"  # sent; possible, and more often a slip

    # Notes: what became of it.
    SAME_WEIGHING = "It belongs to the weigh-in of {instant} and adds nothing to it."
    COMPLETES_WEIGH_IN = "It belongs to the weigh-in of {instant} and adds {values:and} to it."

    # Warnings: what happened to it.
    FELL_BACK = "{delivery!s} did not deliver: {fault}"
    OTHER_FILES_KEPT = (
        "Other values for the same instant are already kept. Import only one of them, or send the right reading again "
        "with replace=true."
    )
    GARMIN_REMARK = "Garmin Connect accepted the file, but said: {said}"
    NOT_SHOWN = "Garmin Connect does not show {values:and}."
    NOT_VISIBLE_YET = "Garmin Connect accepted the file, but did not show the reading within {seconds} s."
    SHOWN_DIFFERENTLY = "Garmin Connect shows a new entry at this instant, but with a different {values:and}."
    LOOK_FAILED = "Garmin Connect accepted the file, but a look for the reading failed: {fault}"
    PERSONAL_API_FAILED = "Garmin's Personal API could not be used to confirm it: {fault}"
    ENTRIES_UNREADABLE = (
        "Garmin Connect lists {count} weigh-in(s) around this day that cannot be read; they were left out."
    )
    REPLACED_ENTRY_REMAINS = "An older entry of this weigh-in is still there. {reason}"
    REPLACED_ENTRY_HAD_MORE = "The replaced entry also had {values:and}; this reading does not."


Note: TypeAlias = Reason
