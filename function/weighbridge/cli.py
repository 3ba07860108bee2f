"""The command `weighbridge`. (A stand-in: another branch writes it.)"""

from __future__ import annotations

import importlib

import click

COMMANDS = {"import": "weighbridge_history.cli", "form": "weighbridge_form.cli"}


class Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return found


@click.command(cls=Lazy)
def main() -> None: ...
