"""What a set-up entry holds while it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from homeassistant.config_entries import ConfigEntry

from .function import Function
from .health import Health
from .person import Person
from .queue import Queue


@dataclass(slots=True)
class Runtime:
    function: Function
    health: Health
    queue: Queue
    #: The people, by the id of their subentry.
    people: dict[str, Person] = field(default_factory=dict)


type WeighbridgeEntry = ConfigEntry[Runtime]
