"""Writes the catalogs of the page's words from its code, and names what has no translation:

    python -m scripts.words

Strategy: Babel finds each text that is passed to `_`, `say`, `plural` or `mark`. Words that are in tables of the
function are added from there. A text that is not used any more leaves the catalogs. The entries are sorted and have no
line numbers, so two changes rarely meet.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from weighbridge.reading.measures import MEASURES
from weighbridge_form.values import FIELDS
from weighbridge_form.words import FOLDER, LANGUAGES
from weighbridge_history.columns import KIND_OF
from weighbridge_history.send import STATUS_TEXTS
from weighbridge_history.times import DAY_FIRST, MONTH_FIRST, YEAR_FIRST

KEYWORDS = {"_": None, "say": None, "mark": None, "plural": (1, 2)}
#: What differs between two runs, or says nothing.
_NOISE = re.compile(
    rb'^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Generated-By|Report-Msgid|Project-Id)[^\n]*\n',
    re.MULTILINE,
)


def extracted() -> Catalog:
    """Every text of the page."""
    found = Catalog(fuzzy=False)
    for _, _, text, comments, _ in extract_from_dir(
        FOLDER.parent,
        method_map=[("**.py", "python")],
        keywords=KEYWORDS,
        comment_tags=("Words:",),
        strip_comment_tags=True,
    ):
        found.add(text, auto_comments=comments)
    for text in texts_of_tables():
        found.add(text)
    return found


def texts_of_tables() -> Iterator[str]:
    """The words that the page takes from tables of others."""
    for measure in MEASURES.values():
        yield measure.label
    for field in FIELDS:
        yield field.key
    yield from (word for word in KIND_OF if word not in MEASURES)
    yield from STATUS_TEXTS.values()
    yield from (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)


def file_of(tag: str) -> Path:
    return FOLDER / f"{tag}.po"


def translated(tag: str) -> Catalog:
    """What is in a catalog now."""
    if not file_of(tag).exists():
        return Catalog(locale=tag)
    with file_of(tag).open("rb") as source:
        return read_po(source, locale=tag)


def updated(tag: str) -> Catalog:
    """The catalog as it should be: the texts of the page, with the translations that there are."""
    catalog = translated(tag)
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.header_comment = "# The words of the page. python -m scripts.words writes this file; translate msgstr."
    catalog.fuzzy = False
    return catalog


def written(catalog: Catalog) -> bytes:
    out = BytesIO()
    write_po(out, catalog, width=0, no_location=True, sort_output=True, ignore_obsolete=True)
    return _NOISE.sub(b"", out.getvalue())


def untranslated(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id and not all(texts_in(message.string))]


def texts_in(text: object) -> tuple[str, ...]:
    """The text, or those for one and for many; "" where there is none."""
    return tuple(text) if isinstance(text, tuple | list) else (str(text or ""),)


def main() -> None:
    missing = False
    for language in LANGUAGES[1:]:
        catalog = updated(language.tag)
        file_of(language.tag).write_bytes(written(catalog))
        for message in untranslated(catalog):
            missing = True
            print(f"{language.tag}: no translation of {message.id!r}")
    sys.exit(missing)


if __name__ == "__main__":
    main()
