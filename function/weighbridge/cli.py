"""The command line: one group, whose commands are imported when they are called.

Rule: this module knows where each command is, what it needs, and how a fault is reported: one sentence on stderr and
exit code 1. What a command does is in `operate/`, or in the package of the caller that it belongs to. A command returns
its exit code, or nothing.

Strategy: `weighbridge --help` and completion read the table below, so they import no command.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from . import __version__
from .commands import needs_extra
from .errors import SettingsInvalid, ValuesRejected, WeighbridgeError
from .operate.surroundings import Surroundings, read_dot_env


class Place(NamedTuple):
    """Where a command is. `extra` names the optional dependencies that it needs."""

    module: str
    explained: str
    extra: str = ""
    attribute: str = "command"


COMMANDS: Mapping[str, Place] = {
    "fit": Place("weighbridge.operate.fit", "Make the FIT file of a reading. Nothing is sent."),
    "serve": Place("weighbridge.operate.serve", "Serve the function."),
    "key": Place("weighbridge.operate.key", "Print the key of this machine."),
    "login": Place("weighbridge.operate.login", "Sign in to Garmin Connect once."),
    "doctor": Place("weighbridge.operate.doctor", "Check each link to Garmin Connect with your account."),
    "refresh": Place("weighbridge.operate.refresh", "Renew each token that is due. For a schedule."),
    "notify": Place("weighbridge.operate.notify", "Send a test notice and a test ping."),
    "kept": Place("weighbridge.operate.kept", "List, deliver, confirm or prune the files that were kept."),
    "confirm": Place("weighbridge.operate.confirm", "Check whether kept files have arrived in Garmin Connect."),
    "backup": Place("weighbridge.operate.backup", "Back up tokens, kept files, people and the outbox.", "", "backup"),
    "restore": Place("weighbridge.operate.backup", "Restore a backup where nothing is yet.", "", "restore"),
    "template": Place("weighbridge.operate.template", "Make a template from your own scale's file."),
    "import": Place("weighbridge_history.cli", "Preview a history of weigh-ins, and send it.", "history"),
    "form": Place("weighbridge_form.cli", "Serve a page to enter, view and correct weigh-ins.", "form"),
    "outbox": Place("weighbridge_outbox.cli", "Store readings in Postgres, and send them until they arrive.", "outbox"),
    "fitdays": Place("weighbridge_fitdays.cli", "Fetch new weigh-ins from the Fitdays cloud.", "fitdays"),
    "app": Place("weighbridge.operate.app", "Run the app of Home Assistant. The Supervisor starts it."),
    "sdk": Place("sdk_fallback.cli", "Cross-check the encoding with Garmin's FitCSVTool.", "sdk"),
    "demo": Place("weighbridge.operate.demo", "Follow a reading from start to finish. Needs no account."),
}

OURS = {place.module.partition(".")[0] for place in COMMANDS.values()}


class Commands(click.Group):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        try:
            command: click.Command = getattr(import_module(place.module), place.attribute)
        except ModuleNotFoundError as e:
            if ctx.resilient_parsing:  # completion: no reason to print anything
                return None
            if needed := _needed(cmd_name, e):
                raise needed from e
            raise
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.explained) for name, place in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = [
            CompletionItem(name, help=place.explained)
            for name, place in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> None:
        code: object = None
        try:
            if ctx.obj is None:
                ctx.obj = Surroundings(os.environ)
                # `ctx.args`: what follows the command's name.
                if not {"-h", "--help"} & set(ctx.args):
                    _add_dot_env()
            code = super().invoke(ctx)
        except WeighbridgeError as fault:
            click.echo(sentence(fault), err=True)
            code = 1
        except ModuleNotFoundError as e:
            needed = _needed(str(ctx.invoked_subcommand), e)
            if needed is None:
                raise
            click.echo(needed, err=True)
            code = 1
        except KeyboardInterrupt:
            click.echo(err=True)  # closes the terminal's ^C
            code = 130
        if isinstance(code, int):
            ctx.exit(code)


def _needed(name: str, fault: ModuleNotFoundError) -> SettingsInvalid | None:
    """The fault to report for a missing module. None when the module is Weighbridge's own: that is a bug."""
    extra = COMMANDS[name].extra if name in COMMANDS else ""
    if not extra or (fault.name or "").partition(".")[0] in OURS:
        return None
    return SettingsInvalid(needs_extra(f"weighbridge {name}", extra))


def _add_dot_env() -> None:
    added = read_dot_env(os.environ)
    if added is not None:
        os.environ.update(added)
        click.echo(
            f"Also reading settings from .env in this folder ({len(added)} used; the environment wins).", err=True
        )


def sentence(fault: WeighbridgeError) -> str:
    """A fault as text for a person. Each rejected value gets its own line."""
    lines = [str(fault)]
    for error in fault.errors if isinstance(fault, ValuesRejected) else ():
        came = "" if error.input is None else f" Got {json.dumps(error.input, default=str, ensure_ascii=False)}."
        lines.append("  " + f"{error.field}: {error.message}{came}".removeprefix(": "))
    return "\n".join(lines)


main = Commands(
    "weighbridge",
    help="Take weigh-ins with body composition from any smart scale to Garmin Connect.",
    epilog="Settings are environment variables; a file .env in the working folder may hold them too. For completion in "
    'bash (zsh and fish have zsh_source, fish_source): eval "$(_WEIGHBRIDGE_COMPLETE=bash_source weighbridge)"',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
main = click.version_option(__version__, prog_name="weighbridge")(main)
