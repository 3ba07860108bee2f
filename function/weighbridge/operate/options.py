"""Options that mean the same in every command, and the output of `--json`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import click

from ..commands import DEFAULT_TOKEN
from ..compose import people_of
from ..errors import SettingsInvalid
from ..settings import Settings, read_settings


def _token_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    # The name is used for a file and for folders.
    from ..garmin.tokens import TokenStore

    try:
        TokenStore(Path(), name)
    except ValueError as e:
        raise SettingsInvalid(str(e)) from None
    return name


name = click.option(
    "--name",
    default=DEFAULT_TOKEN,
    show_default=True,
    metavar="NAME",
    callback=_token_name,
    help="Whose account: the name of a token. WEIGHBRIDGE_PEOPLE sets one for each person.",
)


def settings_of(environment: Mapping[str, str], name: str) -> Settings:
    """The settings for the account of this token. Raises `SettingsInvalid`, which lists the people if there are some
    and nobody was named: the default token is then nobody's, and one sign-in could replace another."""
    settings = read_settings(environment)
    if name == DEFAULT_TOKEN and DEFAULT_TOKEN not in (tokens := tokens_of_people(settings) or [DEFAULT_TOKEN]):
        names = " or ".join(f"--name {token}" for token in tokens)
        raise SettingsInvalid(f"WEIGHBRIDGE_PEOPLE is set: say whose account. Add {names}.")
    return settings.for_person(name)


def tokens_of_people(settings: Settings) -> list[str]:
    """The token of each configured person; empty if there are none. Raises `SettingsInvalid`."""
    return [person.token for person in people_of(settings)]


yes = click.option("--yes", is_flag=True, help="Do not ask. For schedules.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _days(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    if not (found := re.fullmatch(r"([1-9]\d{0,4})d", text, re.ASCII)):
        raise SettingsInvalid(f"--older-than: expected a number of days, such as 365d, got {text[:40]!r}.")
    return timedelta(days=int(found[1]))


older_than = click.option(
    "--older-than", metavar="DAYS", required=True, callback=_days, help="How old, such as 365d for a year."
)
delete = click.option("--yes", is_flag=True, help="Delete them. Without it, they are only counted.")


def to_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=_number)


def _number(value: object) -> float | str:
    return float(value) if isinstance(value, Decimal) and abs(value.adjusted()) < 15 else str(value)
