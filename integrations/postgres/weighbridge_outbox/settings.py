"""Settings: the environment, read once at start. Each program reads only its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from weighbridge import client, settings
from weighbridge.broker import Broker, mqtt_broker
from weighbridge.client import Target, with_local_key
from weighbridge.secret import SecretStr
from weighbridge.settings import Variable, read_variables


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    broker: Broker
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RelaySettings(BrokerSettings):
    database_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    database_url: str = field(repr=False)
    function: Target
    concurrency: int
    longest_pause_s: float
    stalled_s: float
    settle_s: float
    join_s: float
    notify: tuple[SecretStr, ...]
    notify_values: bool
    notify_every_s: float
    silent_days: int


def _database_url(text: str) -> str:
    try:
        conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise ValueError from None
    return text


def _topics(text: str) -> tuple[str, ...]:
    topics = tuple(filter(None, (topic.strip() for topic in text.split(","))))
    if not topics:
        raise ValueError
    return topics


def _positive(text: str) -> float:
    number = float(text)
    if not 1 <= number <= 1e7:
        raise ValueError
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 3600:
        raise ValueError
    return number


def _count(text: str) -> int:
    return int(_positive(text))


def _days(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 3650:
        raise ValueError
    return number


_NUMBER = "a number, 1 or greater"
_SECONDS = "a number of seconds from 0 to 3600"
DATABASE = (
    Variable(
        "DATABASE_URL",
        "database_url",
        "",
        "Postgres: `postgresql://user:password@host:5432/database`",
        _database_url,
        "a Postgres URL, such as postgresql://user:password@host:5432/database",
    ),
)
ROLES = (
    Variable(
        "POSTGRES_RELAY_PASSWORD",
        "weighbridge_relay",
        "",
        "migrate: the password of the role `weighbridge_relay`, which may only store readings; the role is created",
    ),
    Variable(
        "POSTGRES_WORKER_PASSWORD",
        "weighbridge_worker",
        "",
        "migrate: the same for the role `weighbridge_worker`, which may only send, show and correct readings",
    ),
)
BROKER = (
    Variable(
        "MQTT_URL",
        "broker",
        "",
        "relay: the broker, `mqtt://user:password@host:1883`, or `mqtts://` with TLS (port 8883)",
        mqtt_broker,
        "an mqtt:// or mqtts:// address",
    ),
    Variable(
        "MQTT_TOPIC",
        "topics",
        "",
        "relay: the topics of the scale, separated by commas; `+` and `#` as in MQTT",
        _topics,
        "one or more topics, separated by commas",
    ),
)
WORKER = (
    Variable(
        "OUTBOX_CONCURRENCY",
        "concurrency",
        "4",
        "worker: requests at a time, of up to 50 readings each",
        _count,
        _NUMBER,
    ),
    Variable(
        "OUTBOX_LONGEST_PAUSE_SECONDS",
        "longest_pause_s",
        "86400",
        "worker: no pause is longer, even if `Retry-After` asks for more",
        _positive,
        _NUMBER,
    ),
    Variable(
        "OUTBOX_STALLED_SECONDS",
        "stalled_s",
        "60",
        "worker: if it gives no sign of life for so long, another takes over its work",
        _positive,
        _NUMBER,
    ),
    Variable(
        "OUTBOX_SETTLE_SECONDS",
        "settle_s",
        "10",
        "worker: how long a reading without a time of its own waits for more messages of the same weigh-in; 0 = off",
        _seconds,
        _SECONDS,
    ),
    Variable(
        "OUTBOX_SILENT_DAYS",
        "silent_days",
        "14",
        "worker: a notice says so if nothing of a source has arrived for so many days; 0 = never",
        _days,
        "a whole number of days from 0 to 3650",
    ),
    Variable(
        "OUTBOX_NOTIFY_SECONDS",
        "notify_every_s",
        "60",
        "worker: how often it looks for what a person is to be notified of",
        _positive,
        _NUMBER,
    ),
    *settings.NOTIFY,
    # The function has the same rule, and the same window.
    *(variable for variable in settings.VARIABLES if variable.name == "WEIGHBRIDGE_JOIN_SECONDS"),
)
VARIABLES = (*DATABASE, *ROLES, *BROKER, *client.VARIABLES, *WORKER)


def read_database_url(environment: Mapping[str, str]) -> str:
    """Raises `SettingsInvalid`, as the others do."""
    return str(_read(DATABASE, environment)["database_url"])


def read_role_passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """Role -> password, for those that have one."""
    return {role: str(password) for role, password in _read(ROLES, environment).items() if password}


def read_broker_settings(environment: Mapping[str, str]) -> BrokerSettings:
    return BrokerSettings(**_read(BROKER, environment))


def read_relay_settings(environment: Mapping[str, str]) -> RelaySettings:
    return RelaySettings(**_read((*DATABASE, *BROKER), environment))


def read_worker_settings(environment: Mapping[str, str]) -> WorkerSettings:
    values = _read((*DATABASE, *client.VARIABLES, *WORKER), environment)
    function = with_local_key(Target(values.pop("url"), values.pop("key")), values.pop("local_key"))
    return WorkerSettings(function=function, **values)


def _read(variables: tuple[Variable, ...], environment: Mapping[str, str]) -> dict[str, Any]:
    return read_variables(variables, environment, needed=[v.name for v in (*DATABASE, *BROKER)])
