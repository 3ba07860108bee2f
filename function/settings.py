"""Settings: the environment, read once through one injected mapping, as a frozen object.

Rule: each variable may be given as NAME, or as NAME_FILE, the path of a file that holds it (Docker and
Kubernetes secrets). A value that cannot be used is named, with what was expected, and is never echoed:
it could be a secret in the wrong place.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from .errors import SettingsInvalid

TEMPLATES = Path(__file__).parent.parent / "templates"

#: The deliveries that a chain may name.
DELIVERIES = ("folder", "garth", "garminconnect", "browser")


@dataclass(frozen=True, slots=True)
class Settings:
    delivery: tuple[str, ...]
    folder: Path
    api_keys: Mapping[str, SecretStr]
    template: Path
    timezone: ZoneInfo
    tokens: Path
    token_secret: str
    confirm_s: float
    garmin_domain: str
    garmin_ca_bundle: Path | None
    personal_api_key: SecretStr | None
    personal_api_key_ends: date | None
    people: Path | None
    browser: str
    browser_profile: Path
    browser_args: tuple[str, ...]


class Variable(NamedTuple):
    name: str
    attribute: str
    default: str
    meaning: str
    parse: Callable[[str], object]
    expected: str


def _delivery(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= set(DELIVERIES) or len(set(names)) != len(names):
        raise ValueError
    return names


def _api_keys(text: str) -> dict[str, SecretStr]:
    keys: dict[str, SecretStr] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, key = entry.partition("=")
        # 16 characters: below that a key can be guessed over the network in reasonable time.
        if not equals or not name.strip().isidentifier() or len(key) < 16 or name in keys:
            raise ValueError
        keys[name.strip()] = SecretStr(key)
    return keys


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 300:
        raise ValueError
    return value


def _domain(text: str) -> str:
    if not text or not all(c.isalnum() or c in ".-:" for c in text):
        raise ValueError
    return text


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _optional_secret(text: str) -> SecretStr | None:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError  # it travels in a header
    return SecretStr(text) if text else None


def _secret_name(text: str) -> str:
    if not re.fullmatch(r"(?:projects/[\w:.-]+(?:/locations/[a-z0-9-]+)?/secrets/[\w-]{1,200})?", text, re.ASCII):
        raise ValueError
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def _optional_day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


VARIABLES = (
    Variable(
        "WEIGHBRIDGE_DELIVERY",
        "delivery",
        "folder",
        "where readings go: `folder` keeps the FIT file for manual import, `garth` uploads it to Garmin Connect, "
        "`garminconnect` does so over another library (Python 3.12 and newer), `browser` lets a signed-in Chromium do "
        "it; `garth,browser,folder` goes on to the next when Garmin definitely did not get it",
        _delivery,
        f"one or more of {', '.join(DELIVERIES)}, separated by commas, each once",
    ),
    Variable("WEIGHBRIDGE_FOLDER", "folder", "weigh-ins", "the folder in which files are kept", Path, "a path"),
    Variable(
        "WEIGHBRIDGE_API_KEYS",
        "api_keys",
        "",
        "`name=key,…`: who may call. Without any, only this machine is answered",
        _api_keys,
        "name=key pairs separated by commas, each name a word, each key at least 16 characters long",
    ),
    Variable(
        "WEIGHBRIDGE_TEMPLATE",
        "template",
        str(TEMPLATES / "weight_scale.fit"),
        "the FIT file that is patched",
        Path,
        "the path of a FIT file",
    ),
    Variable(
        "WEIGHBRIDGE_TIMEZONE",
        "timezone",
        "UTC",
        "the zone of times that come without an offset",
        ZoneInfo,
        "a time zone such as Europe/Berlin",
    ),
    Variable(
        "WEIGHBRIDGE_TOKENS",
        "tokens",
        "tokens",
        "the folder of the Garmin token (writable: each refresh makes a new one)",
        Path,
        "a path",
    ),
    Variable(
        "WEIGHBRIDGE_TOKEN_SECRET",
        "token_secret",
        "",
        "for a host without a disk: the secret in Google Secret Manager that holds the token instead",
        _secret_name,
        "projects/PROJECT/secrets/NAME, or projects/PROJECT/locations/REGION/secrets/NAME",
    ),
    Variable(
        "WEIGHBRIDGE_CONFIRM_SECONDS",
        "confirm_s",
        "8",
        "how long to wait for Garmin to show the reading; 0 = answer `accepted` at once",
        _seconds,
        "a number of seconds from 0 to 300",
    ),
    Variable(
        "GARMIN_DOMAIN",
        "garmin_domain",
        "garmin.com",
        "`garmin.cn` for accounts in China, or a stand-in",
        _domain,
        "a domain name",
    ),
    Variable(
        "GARMIN_CA_BUNDLE",
        "garmin_ca_bundle",
        "",
        "certificates to trust instead of the usual ones (a stand-in, a corporate proxy)",
        _optional_path,
        "the path of a PEM file",
    ),
    Variable(
        "GARMIN_PERSONAL_API_KEY",
        "personal_api_key",
        "",
        "a key of Garmin's official Personal API: readings are confirmed through it, whatever state the sign-in is in",
        _optional_secret,
        "a key without spaces",
    ),
    Variable(
        "GARMIN_PERSONAL_API_KEY_ENDS",
        "personal_api_key_ends",
        "",
        "the last day of that key, such as 2027-03-31; its end is announced two weeks before",
        _optional_day,
        "a day such as 2027-03-31",
    ),
    Variable(
        "WEIGHBRIDGE_PEOPLE",
        "people",
        "",
        "a TOML file of the people of the house, each with a Garmin account of their own (`examples/people.toml`)",
        _optional_path,
        "the path of a TOML file",
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER", "browser", "/usr/bin/chromium", "the Chromium of the delivery `browser`", str, "a path"
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER_PROFILE",
        "browser_profile",
        "browser",
        "the folder of its profile, in which `make login-browser` signs in, and of pictures of pages that were not as "
        "expected",
        Path,
        "a path",
    ),
    Variable(
        "WEIGHBRIDGE_BROWSER_ARGS",
        "browser_args",
        "",
        "more arguments for it, such as `--no-sandbox` in a container",
        _words,
        "arguments separated by spaces, as in a shell",
    ),
)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Environment -> Settings. Raises `SettingsInvalid`, which names every variable that cannot be used."""
    values: dict[str, object] = {}
    faults: list[str] = []
    for variable in VARIABLES:
        try:
            values[variable.attribute] = variable.parse(_text_of(variable, environment))
        except (ValueError, ZoneInfoNotFoundError, IsADirectoryError):
            faults.append(f"{variable.name} must be {variable.expected}.")
        except OSError as e:
            faults.append(f"The file that {variable.name}_FILE names cannot be read: {e.strerror}.")
    if faults:
        raise SettingsInvalid(" ".join(faults))
    return Settings(**values)  # type: ignore[arg-type]  # the table gives each attribute its type


def _text_of(variable: Variable, environment: Mapping[str, str]) -> str:
    path = environment.get(variable.name + "_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").strip()
    # An empty variable is an unset one: Compose writes `NAME=` for a value left out of .env.
    return environment.get(variable.name) or variable.default
