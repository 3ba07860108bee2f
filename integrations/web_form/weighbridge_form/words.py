"""The words of the page in the language of the browser, and its numbers and times.

    from .words import _, mark, plural

    _("Send to Garmin")
    _("Deleted: {time}", time=display(row))        a number in {braces} is written as the language does
    plural("{count} weigh-in", "{count} weigh-ins", len(rows))
    TITLES = {"kept": mark("Saved as a file")}     in a table: drawn later, with _(TITLES["kept"])

After a change of words, run `python -m scripts.words`: it writes languages/*.po and names what has no translation.

Rule: the English text in the code is the key, and what is shown where there is no translation. No text is put together
from parts that another language would order otherwise. What the function says is English; what has a code there has
words here too (answers.py), and no program reads its English.

Facts: GNU gettext looks up and chooses plurals (Python's own `gettext`). Babel extracts, reads the .po files, and knows
how a language writes numbers and dates (CLDR). The .po files are compiled when they are first needed, in 10 ms each, so
no compiled file can be older than its source.

Strategy: one form of numbers and dates for each language, not for each region: a line has the same length for everyone.

Weakness: Swiss readers see a comma, and Americans a clock of 24 hours. Portuguese is that of Brazil.
"""

from __future__ import annotations

import gettext
from datetime import date, time
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import streamlit as st
from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from streamlit.runtime.scriptrunner import get_script_run_ctx

FOLDER = Path(__file__).with_name("languages")


class Language(NamedTuple):
    #: As in HTML, and in the name of the .po file.
    tag: str
    #: As in CLDR: how numbers and dates are written.
    region: str
    #: The length of a date in CLDR with which the year has four digits, and a line of the list fits a phone.
    date_length: str
    #: How Streamlit's pickers write a date.
    picker: str

    @property
    def locale(self) -> Locale:
        return _locale(self.region)

    def say(self, text: str, /, **values: object) -> str:
        """This text in this language. Values are put into its {braces}."""
        # GNU gettext has its header under "".
        return self._fill(_translations(self.tag).gettext(text), values) if text else ""

    def plural(self, one: str, many: str, count: int, /, **values: object) -> str:
        """The text for one thing or for many, with {count} in it."""
        return self._fill(_translations(self.tag).ngettext(one, many, count), {"count": count, **values})

    def _fill(self, text: str, values: dict[str, object]) -> str:
        if not values:
            return text
        return text.format(**{name: self._written(value) for name, value in values.items()})

    def _written(self, value: object) -> object:
        if isinstance(value, int):
            return self.counted(value)
        return self.number(value) if isinstance(value, float) else value

    def counted(self, how_many: int) -> str:
        return format_decimal(how_many, locale=self.locale)

    def number(self, value: float, most_digits: int = 2) -> str:
        """A measured number, without what groups its digits: who copies it into a field means the same number."""
        return format_decimal(value, "0." + "#" * most_digits, locale=self.locale)

    def date(self, day: date) -> str:
        return format_date(day, self.date_length, locale=self.locale)

    def clock(self, of_day: time) -> str:
        return format_time(of_day, "short", locale=self.locale)


LANGUAGES = (
    Language("en", "en_GB", "medium", "YYYY-MM-DD"),
    Language("de", "de", "medium", "DD.MM.YYYY"),
    Language("pt", "pt_BR", "short", "DD/MM/YYYY"),
)
ENGLISH = LANGUAGES[0]


def language() -> Language:
    """The language of the browser that the page is drawn for; English where no page is drawn."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ENGLISH
    return language_of(st.context.locale or "")


@cache
def language_of(accepted: str) -> Language:
    """The first of our languages in a list such as "pt-BR,pt;q=0.9,en;q=0.8", by weight; else English."""
    for tag in sorted(accepted[:200].split(","), key=_weight, reverse=True):
        for known in LANGUAGES:
            if tag.strip().lower().replace("_", "-").partition(";")[0].partition("-")[0] == known.tag:
                return known
    return ENGLISH


def _weight(tag: str) -> float:
    try:
        return float(tag.partition("q=")[2] or 1)
    except ValueError:
        return 0.0


@cache
def _translations(tag: str) -> gettext.NullTranslations:
    file = FOLDER / f"{tag}.po"
    if not file.exists():
        return gettext.NullTranslations()  # English
    with file.open("rb") as source:
        catalog = read_po(source, locale=tag)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def _locale(region: str) -> Locale:
    return Locale.parse(region)


def _(text: str, /, **values: object) -> str:
    """This text in the language of the browser. Values are put into its {braces}."""
    return language().say(text, **values)


def plural(one: str, many: str, count: int, /, **values: object) -> str:
    """The text for one thing or for many, with {count} in it, in the language of the browser."""
    return language().plural(one, many, count, **values)


def mark(text: str) -> str:
    """The same text: it is in a table, and translated when it is drawn."""
    return text


def number(value: float, most_digits: int = 2) -> str:
    """A measured number as the language of the browser writes it."""
    return language().number(value, most_digits)
