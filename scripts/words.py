"""Writes the catalogs of the page's words from its code, and names what has no translation:

    python -m scripts.words

Strategy: each text that is passed to `_`, `say`, `plural` or `mark` is found in the syntax tree: Babel's own extraction
finds none within an f-string before Python 3.12. Words that are in tables of others are added from there. A text that
is not used any more leaves the catalogs. The entries are sorted and have no line numbers, so two changes rarely meet.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from weighbridge.reading.dialects import Share
from weighbridge.reading.identities import LEAN_SOFT_TISSUE, RULES, share_rule
from weighbridge.reading.instants import ZONE_NOT_NEEDED
from weighbridge.reading.measures import MEASURES
from weighbridge.reading.steering import Question
from weighbridge.reading.times import WEEKDAYS
from weighbridge_form.answers import KNOWN, sentence_of
from weighbridge_form.values import FIELDS
from weighbridge_form.words import FOLDER, LANGUAGES
from weighbridge_history.columns import KIND_OF
from weighbridge_history.send import STATUS_TEXTS
from weighbridge_history.times import DAY_FIRST, MONTH_FIRST, YEAR_FIRST

#: Function -> how many of its first arguments are texts.
KEYWORDS = {"_": 1, "say": 1, "mark": 1, "plural": 2}
#: What differs between two runs, or says nothing.
_NOISE = re.compile(
    rb'^"(POT-Creation-Date|PO-Revision-Date|Last-Translator|Language-Team|Generated-By|Report-Msgid|Project-Id)[^\n]*\n',
    re.MULTILINE,
)


def extracted() -> Catalog:
    """Every text of the page."""
    found = Catalog(fuzzy=False)
    for path in sorted(FOLDER.parent.glob("*.py")):
        for text in texts_in_code(path):
            found.add(text)
    for text in texts_of_tables():
        found.add(text)
    return found


def texts_in_code(path: Path) -> Iterator[str | tuple[str, ...]]:
    """Each text that is passed to one of the functions; a pair for one and for many. Raises `ValueError` for a text
    that is put together, which no catalog can have."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = node.args[: KEYWORDS.get(name, 0)]
        if any(isinstance(text, ast.JoinedStr | ast.BinOp) for text in texts):
            raise ValueError(f"{path.name}:{node.lineno}: put values into {{braces}}, not into the text.")
        # Others are names: of a text in a table, which is marked there.
        known = tuple(text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str))
        if known:
            yield known if len(known) > 1 else known[0]


def texts_of_tables() -> Iterator[str]:
    """The words that the page takes from tables of others."""
    for measure in MEASURES.values():
        yield measure.label
    for field in FIELDS:
        yield field.key
    yield from (word for word in KIND_OF if word not in MEASURES)
    yield from STATUS_TEXTS.values()
    yield from (DAY_FIRST, MONTH_FIRST, YEAR_FIRST)
    yield from (sentence_of(why) for why in KNOWN.values())
    yield from WEEKDAYS
    yield from (*(question.value for question in Question), ZONE_NOT_NEEDED)
    yield from (share.measure.label for share in Share)
    for rule in (*RULES, LEAN_SOFT_TISSUE, *(share_rule(share.mass) for share in Share)):
        yield from (rule.quantity, rule.way)


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
