"""The page in other languages: every text has a translation, and each is complete."""

from __future__ import annotations

import re
from datetime import date, time
from pathlib import Path

import pytest

from scripts.words import extracted, file_of, texts_in, texts_in_code, untranslated, updated, written
from weighbridge.http.problems import FAULTS
from weighbridge.reading.keys import meaning_of
from weighbridge.reading.quantities import quantity
from weighbridge_form.answers import PROBLEMS
from weighbridge_form.values import FIELDS
from weighbridge_form.words import LANGUAGES, language_of

OTHERS = [language.tag for language in LANGUAGES[1:]]
#: The word after a colon is translated: {values:and}, {values:und}.
PLACEHOLDER = re.compile(r"\{\w*(?:!r)?(?=(?::\w+)?\})|`[^`]*`|\]\([^)]*\)")


@pytest.mark.parametrize("tag", OTHERS)
def test_catalog_is_current(tag: str) -> None:
    """A catalog has the texts of the code, and no others. To write it: python -m scripts.words."""
    assert written(updated(tag)).decode() == file_of(tag).read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", OTHERS)
def test_every_text_is_translated(tag: str) -> None:
    """No text of the page is left in English."""
    assert [message.id for message in untranslated(updated(tag))] == []


@pytest.mark.parametrize("tag", OTHERS)
def test_no_placeholder_is_lost(tag: str) -> None:
    """A translation has the values, the names and the links of its text, in any order."""
    for message in updated(tag):
        if message.id:
            wanted = sorted(PLACEHOLDER.findall(texts_in(message.id)[-1]))
            for text in texts_in(message.string):
                assert sorted(PLACEHOLDER.findall(text)) == wanted, message.id


def test_extraction_finds_what_the_page_says() -> None:
    """A text in the code, in a table and with a plural is found."""
    found = {texts_in(message.id)[0] for message in extracted() if message.id}
    assert {"body fat"} <= found


@pytest.mark.parametrize(
    ("accepted", "tag"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("pt-PT", "pt"),
        ("pt_BR", "pt"),
        ("fr-FR,fr;q=0.9,en;q=0.5,de;q=0.7", "de"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("DE;q=0.5, en;q=0.4", "de"),
        ("ja", "en"),
        ("", "en"),
        ("de;q=much", "de"),
        (",;q=,;;", "en"),
    ],
)
def test_language_of_the_browser(accepted: str, tag: str) -> None:
    """The first of our languages that the browser wants; English if it wants none of them."""
    assert language_of(accepted).tag == tag


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("en", ["81.4", "1812.25", "1,812", "22 Nov 2026", "07:31"]),
        ("de", ["81,4", "1812,25", "1.812", "22.11.2026", "07:31"]),
        ("pt", ["81,4", "1812,25", "1.812", "22/11/2026", "07:31"]),
    ],
)
def test_numbers_and_dates(tag: str, expected: list[str]) -> None:
    """Numbers and dates as each language writes them. What was measured has no sign between its digits."""
    of = language_of(tag)
    said = [of.number(81.4), of.number(1812.25), of.say("{count}", count=1812), of.date(date(2026, 11, 22))]
    assert [*said, of.clock(time(7, 31))] == expected


def test_texts_are_found(tmp_path: Path) -> None:
    """A text is found wherever it is in the code, and one that is put together from parts is refused."""
    code = tmp_path / "code.py"
    code.write_text(
        """x = f"{_('one')} {language.say('two')}"; y = plural('{count} row', '{count} rows', n); _(table)"""
    )
    assert sorted(texts_in_code(code), key=str) == [("{count} row", "{count} rows"), "one", "two"]
    code.write_text('_(f"{count} rows")')
    with pytest.raises(ValueError, match="braces"):
        list(texts_in_code(code))


def test_every_problem_has_words() -> None:
    """Each kind of problem that the function may answer with has words of the page."""
    kinds = {kind.slug for kind in FAULTS.values()} | {"no-answer", "not-the-function", "sign-in-not-renewed"}
    assert kinds == set(PROBLEMS)


@pytest.mark.parametrize("tag", OTHERS)
def test_labels_are_understood(tag: str) -> None:
    """Whoever sends a weigh-in under the label of a field in another language means what the English key means."""
    for field in FIELDS:
        own = language_of(tag).say(field.key)
        value = f"1 {field.unit.replace('mass', 'kg')}".strip()
        read = [quantity(value, meaning_of(key)) for key in (field.key, own)]  # type: ignore[arg-type]
        assert read[0] == read[1], own
