"""Names that more than one module needs."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "weighbridge"

#: Of the entry's data: where the function is. "" means inside this Home Assistant.
CONF_URL: Final = "url"
CONF_KEY: Final = "api_key"

#: A subentry for each person.
PERSON: Final = "person"
#: Of the subentry's data: the person's name in the function, "" if the function has one account only.
CONF_NAME_IN_FUNCTION: Final = "name_in_function"
#: Where the person's readings come from: an MQTT topic, a device, entities. Each may be missing.
CONF_TOPIC: Final = "topic"
CONF_DEVICE: Final = "device"
CONF_ENTITIES: Final = "entities"
#: The person of Home Assistant, such as person.anna.
CONF_PERSON: Final = "person"
#: For the body mass index, if a reading has no height.
CONF_HEIGHT: Final = "height_cm"
#: What Garmin shows as muscle; the function inside this Home Assistant reads it.
CONF_MUSCLE: Final = "muscle"
