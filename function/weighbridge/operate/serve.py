"""weighbridge serve: check the settings, print them, and become the server.

Rule: an invalid setting, an unusable template or a port in use ends it at once, with one sentence. A server that
answers every reading with an error is worse than no server. Nothing printed is a secret or the name of a person.

Strategy: the server runs in this process, so signals and exit codes are its own.
"""

from __future__ import annotations

import errno
import socket
import sys

import click

from .. import __version__
from ..compose import compose, people_of
from ..errors import SettingsInvalid
from ..local_key import local_key
from ..settings import Settings, read_settings
from .surroundings import Surroundings


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 means all.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), default=8080, show_default=True, envvar="PORT", show_envvar=True,
    help="The port to listen on.",
)  # fmt: skip
@click.pass_obj
def command(around: Surroundings, host: str, port: int) -> None:
    """Serve the function: readings come in over HTTP, and go where WEIGHBRIDGE_DELIVERY says."""
    settings = read_settings(around.environment)
    check_port(host, port)
    if not compose(settings).keys:
        local_key(settings.local_key)
    check_libraries(settings)
    for line in announcement(settings, host, port):
        # Not on standard output: the lines of the log are JSON.
        print(line, file=sys.stderr)
    sys.stderr.flush()
    # Imported when needed: a fault in the settings does not wait for the server.
    from ..http.server import run
    from .announce import announced

    with announced(host, port):
        run(host, port)


def check_port(host: str, port: int) -> None:
    """Raises `SettingsInvalid` if the server cannot listen there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port whose last connections are still closing counts as free.
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


def check_libraries(settings: Settings) -> None:
    """Raises `SettingsInvalid` if a named delivery needs a library that is not here."""
    if "garminconnect" in settings.delivery:
        from ..garmin.sessions.garminconnect import import_garminconnect

        import_garminconnect()


def announcement(settings: Settings, host: str, port: int) -> list[str]:
    """The lines to print before the function starts."""
    rows = {
        "delivery": ", then ".join(settings.delivery),
        "folder": _folder(settings),
        "time zone": f"{settings.timezone} (for times without an offset; from {settings.timezone_from})",
        "people": _people(settings),
        "key": _key(settings),
    }
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return [
        f"Weighbridge {__version__} serves http://{shown}:{port}",
        *(f"  {name:<11}{text}" for name, text in rows.items() if text),
    ]


def _folder(settings: Settings) -> str:
    return str(settings.folder.absolute()) if "folder" in settings.delivery else ""


def _people(settings: Settings) -> str:
    if settings.people is None:
        return "one account for all readings (WEIGHBRIDGE_PEOPLE is not set)"
    return f"{len(people_of(settings))} people, each with an account ({settings.people})"


def _key(settings: Settings) -> str:
    if settings.api_keys:
        return f"one of WEIGHBRIDGE_API_KEYS, which has {len(settings.api_keys)}"
    return f"that of this machine, in {settings.local_key}: weighbridge key"
