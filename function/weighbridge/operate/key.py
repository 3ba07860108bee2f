"""weighbridge key: print the key of this machine, for a program that cannot read its file."""

from __future__ import annotations

import click

from ..client.settings import local_key_path
from ..local_key import local_key
from .surroundings import Surroundings


@click.command("key")
@click.pass_obj
def command(around: Surroundings) -> None:
    """Print the key of this machine, which a function without WEIGHBRIDGE_API_KEYS expects. Makes it if there is none.

    With curl, the file is enough: curl -H @$HOME/.weighbridge/key …
    """
    click.echo(local_key(local_key_path(around.environment)).get_secret_value())
