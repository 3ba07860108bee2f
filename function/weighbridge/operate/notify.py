"""weighbridge notify: send a test notice and a test ping, and say what became of them.

Rule: nothing printed holds an address.
"""

from __future__ import annotations

import sys

import click

from ..compose import notifier_of
from ..errors import SettingsInvalid
from ..notify import events
from ..notify.ping import Ping
from ..notify.send import was_taken
from ..settings import read_settings
from .surroundings import Surroundings


@click.command("notify")
@click.option("--fail", is_flag=True, help="Ping the failure of a delivery, to see that the monitor raises its alarm.")
@click.pass_obj
def command(around: Surroundings, *, fail: bool) -> int:
    """Send a test notice to each service of WEIGHBRIDGE_NOTIFY and a test ping to WEIGHBRIDGE_PING_URL, and say what
    became of them."""
    settings = read_settings(around.environment)
    notifier = notifier_of(settings)
    if notifier is None and settings.ping_url is None:
        raise SettingsInvalid(
            "Neither WEIGHBRIDGE_NOTIFY nor WEIGHBRIDGE_PING_URL is set. Set one, and run this again."
        )
    is_well = True
    if notifier:
        sent = notifier.send(events.test())
        for each in sent:
            print(f"notice, {each}.")
        is_well = all(not each.why for each in sent)
        if not was_taken(sent):
            print("No service took the notice. Check the addresses in WEIGHBRIDGE_NOTIFY.", file=sys.stderr)
    if settings.ping_url:
        why = Ping(settings.ping_url).send(success=not fail)
        print(f"ping: {why or 'taken'}.")
        is_well = is_well and not why
    return 0 if is_well else 1
