"""Where the function is, and the key it needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..secret import SecretStr
from ..settings import Variable, header_text, http_url, read_variables

VARIABLES = (
    Variable(
        "WEIGHBRIDGE_URL",
        "url",
        "http://127.0.0.1:8080",
        "the address of the function",
        http_url,
        "an http:// or https:// address; the key belongs in WEIGHBRIDGE_KEY",
    ),
    Variable(
        "WEIGHBRIDGE_KEY",
        "key",
        "",
        "the key that the function wants, one of its WEIGHBRIDGE_API_KEYS",
        lambda text: SecretStr(header_text(text)),
        "a key without spaces, of characters that an HTTP header can carry",
    ),
)


class Target(NamedTuple):
    url: str
    key: SecretStr = SecretStr("")

    @property
    def headers(self) -> dict[str, str]:
        key = self.key.get_secret_value()
        return {"Authorization": f"Bearer {key}"} if key else {}


def read_target(environment: Mapping[str, str]) -> Target:
    """Raises `SettingsInvalid`."""
    return Target(**read_variables(VARIABLES, environment))  # type: ignore[arg-type]  # the table gives the types
