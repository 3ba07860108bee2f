"""A text that must not be shown.

Rule: neither `str()`, `repr()`, a format string nor a dataclass around it shows the text. Only `get_secret_value` does.

Strategy: it has the name and the method of pydantic's class, which takes 50 ms of each start to import.
"""

from __future__ import annotations

from typing import final


@final
class SecretStr:
    """A secret. Equal to another with the same text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"SecretStr('{'*' * 10 if self._text else ''}')"

    def __str__(self) -> str:
        return "*" * 10 if self._text else ""
