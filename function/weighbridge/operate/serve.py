"""weighbridge serve: check everything, say what will be, and become the server.

Rule: a wrong setting, an unusable template or a port in use ends it at once, with one sentence: a server that answers
every reading with a fault of its owner's is worse than none. Nothing printed is a secret, or says who lives here.

Strategy: the server takes this process's place (exec), so that signals and exit codes are its own.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import click

from .. import __version__
from ..compose import Composed, compose
from ..errors import SettingsInvalid
from ..settings import Settings, read_settings
from .serving import server_command, server_environment
from .surroundings import Surroundings


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 is every one.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, envvar="PORT", show_envvar=True,
    help="The port to listen on.",
)  # fmt: skip
@click.pass_obj
def command(around: Surroundings, host: str, port: int) -> None:
    """Serve the function: readings come in over HTTP, and go where WEIGHBRIDGE_DELIVERY says."""
    composed = compose(read_settings(around.environment))
    check_port(host, port)
    for line in announcement(composed, host, port):
        # Not among the log's lines, which are JSON.
        print(line, file=sys.stderr)
    sys.stderr.flush()
    words = server_command(host, port)
    os.execve(words[0], words, server_environment(around.environment))  # noqa: S606  # no shell is wanted


def check_port(host: str, port: int) -> None:
    """Raises `SettingsInvalid` when nothing can listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as e:
        if e.errno == errno.EADDRINUSE:
            text = f"Port {port} is in use, perhaps by another weighbridge. Choose another: weighbridge serve --port "
            raise SettingsInvalid(f"{text}{port + 1 if port < 65_535 else port - 1}.") from None
        if e.errno == errno.EACCES:
            raise SettingsInvalid(
                f"Port {port} needs rights that this user lacks. Choose one above 1023: weighbridge serve --port 8080."
            ) from None
        raise SettingsInvalid(f"--host {host} is not an address of this machine ({e.strerror}).") from None


def announcement(composed: Composed, host: str, port: int) -> list[str]:
    """What whoever starts the function should know."""
    settings = composed.settings
    rows = {
        "delivery": ", then ".join(settings.delivery),
        "folder": _folder(settings),
        "time zone": f"{settings.timezone.key} (of times without an offset)",
        "people": _people(composed),
        "key": _key(settings, host),
    }
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return [
        f"Weighbridge {__version__} serves http://{shown}:{port}",
        *(f"  {name:<11}{text}" for name, text in rows.items() if text),
    ]


def _folder(settings: Settings) -> str:
    return str(settings.folder.absolute()) if "folder" in settings.delivery else ""


def _people(composed: Composed) -> str:
    path: Path | None = composed.settings.people
    if path is None:
        return "one, who need not be named"
    return f"those of {path}, each with an account of their own"


def _key(settings: Settings, host: str) -> str:
    if settings.api_keys:
        return f"needed by every caller (WEIGHBRIDGE_API_KEYS has {len(settings.api_keys)})"
    text = "none is set: only this machine is answered"
    if host.strip("[]") in ("127.0.0.1", "::1", "localhost"):
        return text
    return f"{text}, and callers elsewhere are refused (403) until WEIGHBRIDGE_API_KEYS is set"
