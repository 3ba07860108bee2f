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
