"""Settings: the environment, read once. Each variable may be given as NAME, or as NAME_FILE, the path of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit


class SettingsInvalid(Exception):
    """A variable is missing or cannot be used; the message never repeats it, for it could be a secret."""


class Variable(NamedTuple):
    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("FITDAYS_EMAIL", "", "the account of the Fitdays app; without it nothing is polled"),
    Variable("FITDAYS_PASSWORD", "", "its password"),
    Variable("FITDAYS_PEOPLE", "", "`suid=name,…`: who is who; without it, the names of the app's profiles"),
    Variable("FITDAYS_API", "", "the cloud's address, where the European one does not lead on to yours"),
    Variable("FITDAYS_EVERY_SECONDS", "300", "how often the cloud is asked"),
    Variable("FITDAYS_DAYS", "7", "how many days back; older weigh-ins are for `make import`"),
    Variable("FITDAYS_STATE", "fitdays", "the folder of the sign-in and of what was handed over (writable)"),
    Variable("WEIGHBRIDGE_URL", "http://127.0.0.1:8080", "the function, where no broker is named"),
    Variable("WEIGHBRIDGE_KEY", "", "the key that the function wants, one of its WEIGHBRIDGE_API_KEYS"),
    Variable("MQTT_URL", "", "publish instead: `mqtt://user:password@host:1883`, or `mqtts://` with TLS"),
    Variable("FITDAYS_TOPIC", "fitdays", "the topic under which each person has one of their own"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    email: str
    password: str = field(repr=False)
    people: Mapping[int, str]
    api: str
    every_s: float
    days: int
    state: Path
    function_url: str
    function_key: str = field(repr=False)
    mqtt_url: str = field(repr=False)
    topic: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsInvalid`."""

    def text(name: str) -> str:
        try:
            path = environment.get(f"{name}_FILE")
            found = Path(path).read_text(encoding="utf-8").strip() if path else environment.get(name, "")
        except (OSError, UnicodeDecodeError) as e:
            raise SettingsInvalid(f"The file that {name}_FILE names cannot be read: {type(e).__name__}.") from None
        return found or next(variable.default for variable in VARIABLES if variable.name == name)

    def number(name: str, least: float) -> float:
        try:
            value = float(text(name))
        except ValueError:
            value = 0.0
        if not least <= value <= 86_400:
            raise SettingsInvalid(f"{name} must be a number from {least:g} on.")
        return value

    for name in ("FITDAYS_EMAIL", "FITDAYS_PASSWORD"):
        if not text(name):
            raise SettingsInvalid(f"{name} is not set. Without an account of the Fitdays app nothing is polled.")
    for name, schemes in (("WEIGHBRIDGE_URL", ("http", "https")), ("MQTT_URL", ("mqtt", "mqtts"))):
        if text(name) and not _is_address(text(name), schemes):
            raise SettingsInvalid(f"{name} is no {schemes[0]}:// or {schemes[1]}:// address.")
    return Settings(
        email=text("FITDAYS_EMAIL"),
        password=text("FITDAYS_PASSWORD"),
        people=_people(text("FITDAYS_PEOPLE")),
        api=text("FITDAYS_API").rstrip("/"),
        every_s=number("FITDAYS_EVERY_SECONDS", 1),
        days=int(number("FITDAYS_DAYS", 1)),
        state=Path(text("FITDAYS_STATE")),
        function_url=text("WEIGHBRIDGE_URL").rstrip("/"),
        function_key=text("WEIGHBRIDGE_KEY"),
        mqtt_url=text("MQTT_URL"),
        topic=text("FITDAYS_TOPIC").strip("/"),
    )


def _is_address(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # it is parsed when it is asked for
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)


def _people(text: str) -> dict[int, str]:
    people: dict[int, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        suid, equals, name = entry.partition("=")
        if not equals or not suid.strip().isdecimal() or not name.strip():
            raise SettingsInvalid("FITDAYS_PEOPLE must be suid=name pairs, separated by commas.")
        people[int(suid)] = name.strip()
    return people
