"""Settings: the environment, read once at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weighbridge import client
from weighbridge.broker import Broker, mqtt_broker
from weighbridge.client import Target, with_local_key
from weighbridge.settings import Variable, http_url, read_variables


@dataclass(frozen=True, slots=True)
class Settings:
    email: str
    password: str = field(repr=False)
    people: Mapping[int, str]
    api: str
    every_s: float
    days: int
    state: Path
    function: Target
    #: If set, weigh-ins are published here instead of being sent to the function.
    broker: Broker | None
    topic: str


def _people(text: str) -> dict[int, str]:
    people: dict[int, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        suid, equals, name = entry.partition("=")
        if not equals or not suid.strip().isdecimal() or not name.strip():
            raise ValueError
        people[int(suid)] = name.strip()
    return people


def _optional_url(text: str) -> str:
    return http_url(text) if text else ""


def _optional_broker(text: str) -> Broker | None:
    return mqtt_broker(text) if text else None


def _number(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 86_400:
        raise ValueError
    return number


def _count(text: str) -> int:
    return int(_number(text))


def _topic(text: str) -> str:
    return text.strip("/")


_NUMBER = "a number from 1 to 86400"
VARIABLES = (
    Variable("FITDAYS_EMAIL", "email", "", "the e-mail address of the Fitdays account"),
    Variable("FITDAYS_PASSWORD", "password", "", "its password"),
    Variable(
        "FITDAYS_PEOPLE",
        "people",
        "",
        "`suid=name,…`: each person's name; without it, the names of the app's profiles",
        _people,
        "suid=name pairs, separated by commas",
    ),
    Variable(
        "FITDAYS_API",
        "api",
        "",
        "the cloud's address, if the European one does not redirect to yours",
        _optional_url,
        "an http:// or https:// address",
    ),
    Variable("FITDAYS_EVERY_SECONDS", "every_s", "300", "seconds between two polls", _number, _NUMBER),
    Variable(
        "FITDAYS_DAYS",
        "days",
        "7",
        "how many days back; use `weighbridge import` for older weigh-ins",
        _count,
        _NUMBER,
    ),
    Variable(
        "FITDAYS_STATE",
        "state",
        "fitdays",
        "a writable folder for the token and the ids that were handed over",
        Path,
        "a path",
    ),
    *client.VARIABLES,
    Variable(
        "MQTT_URL",
        "broker",
        "",
        "publish to this broker instead: `mqtt://user:password@host:1883`, or `mqtts://` with TLS",
        _optional_broker,
        "an mqtt:// or mqtts:// address",
    ),
    Variable("FITDAYS_TOPIC", "topic", "fitdays", "the prefix of each person's topic", _topic),
)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises `SettingsInvalid`."""
    values: dict[str, Any] = read_variables(VARIABLES, environment, needed=("FITDAYS_EMAIL", "FITDAYS_PASSWORD"))
    function = with_local_key(Target(values.pop("url"), values.pop("key")), values.pop("local_key"))
    return Settings(function=function, **values)
