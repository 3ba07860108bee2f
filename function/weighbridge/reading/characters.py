"""The characters of numbers, units and times, however a device or a keyboard writes them -> those of ASCII. Pure.

Rule: only what shows the same is folded. A character that would turn into a digit, such as ² or ½, stays as it is, so
that 81² is refused and does not become 812.

Facts: Unicode has dozens of sets of decimal digits. Messengers and phones put invisible marks around numbers of
right-to-left scripts; JavaScript's dates have a narrow no-break space before AM.

Weakness: U+202D and U+202E are not removed, because they change the order in which digits are shown.
"""

from __future__ import annotations

import unicodedata

#: Zero-width spaces and joiners, marks of direction, soft hyphens and variation selectors: nothing is visible of them.
INVISIBLE = frozenset(
    "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2060\u2066\u2067\u2068\u2069\ufeff"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
)
#: What NFKC does not map to the character that it stands for.
_SAME = {
    "\u066b": ".",  # ARABIC DECIMAL SEPARATOR
    "\u060c": ",",  # ARABIC COMMA, which keyboards have in its place
    "\u066a": "%",  # ARABIC PERCENT SIGN
    "\u2212": "-",  # MINUS SIGN
    **dict.fromkeys("\u2019\u2032", "'"),
    **dict.fromkeys("\u201d\u2033", '"'),
}


def fold(text: str) -> str:
    """A text with other scripts' digits, signs and spaces in ASCII, and without invisible marks."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", "".join(map(_fold, text))).strip()


def _fold(character: str) -> str:
    if character.isascii():
        return character
    if character in INVISIBLE:
        return ""
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if (same := _SAME.get(character)) is not None:
        return same
    # Full-width and no-break forms, and signs such as U+338F, the square kg.
    simple = unicodedata.normalize("NFKC", character)
    return character if any(part.isnumeric() for part in simple) else simple
