"""Where the function is, and the key it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..local_key import read_local_key
from ..secret import SecretStr
from ..settings import LOCAL_KEY, LOOPBACK, Variable, header_text, http_url, read_variables

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
        "the key for the function, one of its WEIGHBRIDGE_API_KEYS; for a function on this machine, by default the key "
        "of this machine",
        lambda text: SecretStr(header_text(text)),
        "a key without spaces, of characters that an HTTP header can carry",
    ),
    LOCAL_KEY,
)


class Target(NamedTuple):
    url: str
    key: SecretStr = SecretStr("")
    #: The file with the key of this machine, which may be there only once the function has started.
    local_key: Path | None = None

    def headers(self) -> dict[str, str]:
        """Asked for at each request. Raises `SettingsInvalid`."""
        key = self.key or (read_local_key(self.local_key) if self.local_key else None)
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}


def read_target(environment: Mapping[str, str]) -> Target:
    """Raises `SettingsInvalid`."""
    values: dict[str, Any] = read_variables(VARIABLES, environment)
    return with_local_key(Target(values["url"], values["key"]), values["local_key"])


def local_key_path(environment: Mapping[str, str]) -> Path:
    """Where the key of this machine is, or would be."""
    values: dict[str, Any] = read_variables((LOCAL_KEY,), environment)
    path: Path = values["local_key"]
    return path


def with_local_key(target: Target, path: Path) -> Target:
    """The target, with the key of this machine if it has no other and is on this machine. Raises `SettingsInvalid`."""
    if target.key or urlsplit(target.url).hostname not in LOOPBACK:
        return target
    read_local_key(path)  # a file that cannot be used is an error at once
    return target._replace(local_key=path)
