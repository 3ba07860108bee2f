"""The addresses of the functions, by person, from the environment."""

from __future__ import annotations

from collections.abc import Mapping

from weighbridge.settings import Variable, http_url, read_variables


def people_of(text: str) -> dict[str, str]:
    """The addresses by name: one without a name, or "Anna=http://…, Ben=http://…". Raises `ValueError`."""
    people: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, address = part.partition("=")
        named = bool(equals) and "://" not in name
        name = name.strip() if named else ""
        if name in people or "" in people:
            raise ValueError
        people[name] = http_url((address if named else part).strip())
    if not people or (len(people) > 1 and "" in people):
        raise ValueError
    return people


VARIABLES = (
    Variable(
        "WEIGHBRIDGE_URL",
        "people",
        "http://127.0.0.1:8080",
        "the address of the function; or one address for each person: `Anna=http://…, Ben=http://…`",
        people_of,
        "an http:// or https:// address, or name=address pairs separated by commas, each name once",
    ),
)


def read_people(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The address of each person's function, by name. The name is "" if one function serves everyone.

    Raises `SettingsInvalid`.
    """
    people: Mapping[str, str] = read_variables(VARIABLES, environment)["people"]  # type: ignore[assignment]  # the table gives the type
    return people
