"""The address of an MQTT broker, as the settings of the callers that speak MQTT give it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from .settings import split_url


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker."""

    host: str
    port: int
    tls: bool
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)


def mqtt_broker(text: str) -> Broker:
    """The broker of mqtt://user:password@host:1883, or of mqtts:// with TLS. Raises ValueError."""
    parts = split_url(text, ("mqtt", "mqtts"))
    tls = parts.scheme == "mqtts"
    return Broker(
        host=parts.hostname or "",
        port=parts.port or (8883 if tls else 1883),
        tls=tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )
