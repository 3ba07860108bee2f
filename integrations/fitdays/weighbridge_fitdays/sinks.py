"""A weigh-in -> the function, or an MQTT topic that Home Assistant discovers.

Rule: a weigh-in is handed over when the other side has acknowledged it: the function with a final receipt, the broker
with a PUBACK. A weigh-in that the function never takes counts as handed over, and is logged; one that it may take later
does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from weighbridge.broker import Broker
from weighbridge.client import AsyncClient, Target

from .cloud import CloudWeighIn

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
    """It cannot be handed over now; the message is for the log."""


class Handed(NamedTuple):
    """The outcome of a weigh-in in one word, and the reason if it was refused."""

    word: str
    why: str = ""
    #: Whether it is done. If not, the next poll hands it over again.
    final: bool = True


class Sink(Protocol):
    async def hand_over(self, weigh_in: CloudWeighIn) -> Handed:
        """Raises `Later`."""
        ...

    async def aclose(self) -> None: ...


class FunctionSink:
    """POST /readings."""

    def __init__(self, target: Target) -> None:
        # What is refused is only in its log.
        self._client = AsyncClient(target, program="weighbridge-fitdays")

    async def hand_over(self, weigh_in: CloudWeighIn) -> Handed:
        result = await self._client.post(json.dumps(_reading(weigh_in)))
        if result.ok:
            return Handed(result.status, final=result.final)
        if result.again == "never":
            return Handed("refused", result.kind)
        if result.kind == "no-answer":
            raise Later("the function did not answer")
        raise Later(f"the function answered {result.http_status} {result.kind}")

    async def aclose(self) -> None:
        await self._client.aclose()


class MqttSink:
    """Publishes to `{topic}/{person}`, retained, after the discovery messages of nine sensors of one device."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._topic = topic
        self._discovered: set[int] = set()
        self._broker = broker
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if broker.tls:
            self._client.tls_set()
        if broker.user:
            self._client.username_pw_set(broker.user, broker.password)
        self._started = False

    async def hand_over(self, weigh_in: CloudWeighIn) -> Handed:
        slug = re.sub(r"[^\w-]+", "_", weigh_in.person or str(weigh_in.suid)).strip("_").casefold()
        topic = f"{self._topic}/{slug}"
        try:
            if not self._started:
                self._client.connect(self._broker.host, self._broker.port)
                self._client.loop_start()
                self._started = True
            if weigh_in.suid not in self._discovered:
                for key in SENSORS:
                    self._publish(
                        f"homeassistant/sensor/fitdays_{weigh_in.suid}/{key}/config", _discovery(weigh_in, key, topic)
                    )
                self._discovered.add(weigh_in.suid)
            self._publish(topic, _reading(weigh_in))
        except (OSError, ValueError, RuntimeError) as e:
            raise Later(f"the broker did not take the weigh-in ({type(e).__name__})") from None
        return Handed("published")

    async def aclose(self) -> None:
        if self._started:
            self._client.disconnect()
            self._client.loop_stop()

    def _publish(self, topic: str, values: Mapping[str, Any]) -> None:
        sent = self._client.publish(topic, json.dumps(values), qos=1, retain=True)
        sent.wait_for_publish(30)
        if not sent.is_published():
            raise TimeoutError


def _reading(weigh_in: CloudWeighIn) -> dict[str, Any]:
    person = {"person": weigh_in.person} if weigh_in.person else {}
    # The function knows which of the values is a time.
    return {**weigh_in.values, **person, "received_at": datetime.now(UTC).isoformat(timespec="seconds")}


def _discovery(weigh_in: CloudWeighIn, key: str, topic: str) -> dict[str, Any]:
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
