"""Settings: the environment, read once, as a frozen object.

Rule: each variable may be given as NAME, or as NAME_FILE, the path of a file that holds it (Docker and Kubernetes
secrets). What is missing or cannot be used is named in one sentence, and never echoed: it could be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit


class SettingsInvalid(Exception):
    """A variable is missing or cannot be used; the message is for whoever set it."""


class Variable(NamedTuple):
    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("DATABASE_URL", "", "Postgres: `postgresql://user:password@host:5432/database`"),
    Variable("MQTT_URL", "", "relay: the broker, `mqtt://user:password@host:1883`, or `mqtts://` with TLS (port 8883)"),
    Variable("MQTT_TOPIC", "", "relay: the topics of the scale, separated by commas; `+` and `#` as in MQTT"),
    Variable("WEIGHBRIDGE_URL", "http://127.0.0.1:8080", "worker: the function"),
    Variable("WEIGHBRIDGE_KEY", "", "worker: the key that the function wants, one of its WEIGHBRIDGE_API_KEYS"),
    Variable("OUTBOX_CONCURRENCY", "4", "worker: readings that are under way at a time"),
    Variable("OUTBOX_LONGEST_PAUSE_SECONDS", "86400", "worker: no pause is longer, also where `Retry-After` asks it"),
    Variable("OUTBOX_STALLED_SECONDS", "60", "worker: after how long without a sign of life another takes its work"),
)


@dataclass(frozen=True, slots=True)
class Broker:
    host: str
    port: int
    tls: bool
    topics: tuple[str, ...]
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    environment: Mapping[str, str] = field(repr=False)

    @property
    def database_url(self) -> str:
        return self._required("DATABASE_URL")

    @property
    def function_url(self) -> str:
        url = self._text("WEIGHBRIDGE_URL").rstrip("/")
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsInvalid("WEIGHBRIDGE_URL is not an http:// or https:// address.")
        if parts.username or parts.query:
            raise SettingsInvalid("WEIGHBRIDGE_URL is the bare address; the key belongs into WEIGHBRIDGE_KEY.")
        return url

    @property
    def function_key(self) -> str:
        key = self._text("WEIGHBRIDGE_KEY")
        if not key.isascii() or not key.isprintable():
            raise SettingsInvalid("WEIGHBRIDGE_KEY holds a character that no HTTP header can carry.")
        return key

    @property
    def broker(self) -> Broker:
        parts = _split(self._required("MQTT_URL"))
        if parts is None or parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
            raise SettingsInvalid("MQTT_URL is not an mqtt:// or mqtts:// address.")
        tls = parts.scheme == "mqtts"
        topics = tuple(topic for text in self._required("MQTT_TOPIC").split(",") if (topic := text.strip()))
        user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
        return Broker(parts.hostname, parts.port or (8883 if tls else 1883), tls, topics, user, password)

    @property
    def concurrency(self) -> int:
        return int(self._positive("OUTBOX_CONCURRENCY"))

    @property
    def longest_pause_s(self) -> float:
        return self._positive("OUTBOX_LONGEST_PAUSE_SECONDS")

    @property
    def stalled_s(self) -> float:
        return self._positive("OUTBOX_STALLED_SECONDS")

    def _text(self, name: str) -> str:
        path = self.environment.get(f"{name}_FILE")
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as e:
                raise SettingsInvalid(f"The file that {name}_FILE names cannot be read: {type(e).__name__}.") from None
        # An empty variable is an unset one: Compose writes `NAME=` for a value left out of .env.
        return self.environment.get(name) or next(v.default for v in VARIABLES if v.name == name)

    def _required(self, name: str) -> str:
        text = self._text(name)
        if not text:
            meaning = next(v.meaning for v in VARIABLES if v.name == name).replace("`", "")
            raise SettingsInvalid(f"{name} is not set. {meaning[0].upper()}{meaning[1:]}.")
        return text

    def _positive(self, name: str) -> float:
        try:
            number = float(self._text(name))
        except ValueError:
            number = 0.0
        if not 1 <= number <= 1e7:
            raise SettingsInvalid(f"{name} is not a number from 1 on.")
        return number


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is parsed when it is asked for
    except ValueError:
        return None
    return parts
