"""A weigh-in -> the function, or an MQTT topic that Home Assistant discovers.

Rule: handed over is what the other side has acknowledged: the function by its receipt, the broker by its PUBACK. What
is refused for good is handed over too, and said; what may be taken later is not.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import aiohttp
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from .cloud import WeighIn
from .settings import Settings

TIMEOUT_S = 180
#: Statuses that say "never": a reading that cannot be right, or other values at that instant.
FOR_GOOD = (409, 422)
_KNOWN = " if value_json.{0} | default(0) else none }}}}"
_PLAIN = "{{{{ value_json.{0}" + _KNOWN
_SHARE = "{{{{ (value_json.weight_g * value_json.{0} / 100000) | round(2)" + _KNOWN
_REST = "{{{{ (value_json.weight_g * (100 - value_json.{0}) / 100000) | round(2)" + _KNOWN

#: The nine values of the app, from the cloud's shares: name, unit, template.
SENSORS = {
    "weight": ("Weight", "kg", "{{ value_json.weight_g / 1000 }}"),
    "body_fat": ("Body fat", "%", _PLAIN.format("bfr")),
    "fat_mass": ("Fat mass", "kg", _SHARE.format("bfr")),
    "fat_free_mass": ("Fat free body weight", "kg", _REST.format("bfr")),
    "muscle_mass": ("Muscle mass", "kg", _SHARE.format("rom")),
    "bone_mass": ("Bone mass", "kg", _PLAIN.format("bm")),
    "water_weight": ("Water weight", "kg", _SHARE.format("vwc")),
    "subcutaneous_fat": ("Subcutaneous fat", "%", _PLAIN.format("sfr")),
    "visceral_fat": ("Visceral fat", "", _PLAIN.format("uvi")),
}


class Later(Exception):
    """The other side could not take it now; the message is for the log."""


class Handed(NamedTuple):
    """What became of a weigh-in, in one word, and what to say of it if it was refused."""

    word: str
    why: str = ""


class Sink(Protocol):
    async def hand_over(self, weigh_in: WeighIn) -> Handed:
        """Raises `Later`."""
        ...


class FunctionSink:
    """POST /readings."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"{settings.function_url}/readings"
        self._headers = {"Authorization": f"Bearer {settings.function_key}"} if settings.function_key else {}

    async def hand_over(self, weigh_in: WeighIn) -> Handed:
        reading = {**weigh_in.values, **({"person": weigh_in.person} if weigh_in.person else {})}
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.post(self._url, json=reading) as answer,
            ):
                body = await answer.json(content_type=None)
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as e:
            raise Later(f"the function gave no answer ({type(e).__name__})") from None
        kind = str(body.get("type", "")).rpartition(":")[2] if isinstance(body, dict) else ""
        if 200 <= status < 300 and isinstance(body, dict):
            return Handed(str(body.get("status", "taken")))
        if status in FOR_GOOD:
            return Handed("refused", kind)
        raise Later(f"the function answered {status} {kind}".rstrip())


class MqttSink:
    """`{topic}/{person}`, retained, with the discovery messages of nine sensors of one device before it."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.mqtt_url)
        self._topic = settings.topic
        self._discovered: set[int] = set()
        self._host, tls = parts.hostname or "", parts.scheme == "mqtts"
        self._port = parts.port or (8883 if tls else 1883)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if tls:
            self._client.tls_set()
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        self._started = False

    async def hand_over(self, weigh_in: WeighIn) -> Handed:
        slug = re.sub(r"[^\w-]+", "_", weigh_in.person or str(weigh_in.suid)).strip("_").casefold()
        topic = f"{self._topic}/{slug}"
        values = {**weigh_in.values, **({"person": weigh_in.person} if weigh_in.person else {})}
        try:
            if not self._started:
                self._client.connect(self._host, self._port)
                self._client.loop_start()
                self._started = True
            if weigh_in.suid not in self._discovered:
                for key in SENSORS:
                    self._publish(
                        f"homeassistant/sensor/fitdays_{weigh_in.suid}/{key}/config", _discovery(weigh_in, key, topic)
                    )
                self._discovered.add(weigh_in.suid)
            self._publish(topic, values)
        except (OSError, ValueError, RuntimeError) as e:
            raise Later(f"the broker did not take it ({type(e).__name__})") from None
        return Handed("published")

    def close(self) -> None:
        if self._started:
            self._client.disconnect()
            self._client.loop_stop()

    def _publish(self, topic: str, values: dict[str, Any]) -> None:
        sent = self._client.publish(topic, json.dumps(values), qos=1, retain=True)
        sent.wait_for_publish(30)
        if not sent.is_published():
            raise TimeoutError


def _discovery(weigh_in: WeighIn, key: str, topic: str) -> dict[str, Any]:
    name, unit, template = SENSORS[key]
    config: dict[str, Any] = {
        "name": name,
        "unique_id": f"fitdays_{weigh_in.suid}_{key}",
        "state_topic": topic,
        "value_template": template,
        "state_class": "measurement",
        "device": {
            "identifiers": [f"fitdays_{weigh_in.suid}"],
            "name": f"Fitdays {weigh_in.person or weigh_in.suid}",
            "manufacturer": "Fitdays",
        },
    }
    if unit:
        config["unit_of_measurement"] = unit
    if unit == "kg":
        config["device_class"] = "weight"
    return config
