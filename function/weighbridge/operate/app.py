"""weighbridge app: everything that the app of Home Assistant runs in its one container.

    serve                             the function
    form                              the page, behind ingress
    refresh --daily --deliver-kept    renews the sign-ins, and delivers what was kept
    fitdays poll                      if there is a Fitdays account

Rule: an option of the app is a setting of its programs, by its name alone: `timezone` is WEIGHBRIDGE_TIMEZONE, and
`fitdays_email` is FITDAYS_EMAIL. No program gets what it does not need: the token for the Supervisor stays here, the
Fitdays account is for the poller, and each caller has a key of its own. If one program ends, all do, so that the
Supervisor sees it. SIGTERM is passed on.

Facts (Supervisor 2026): it writes the options to /data/options.json, runs the container as root, and mounts /data from
a folder of root. `http://supervisor` answers to SUPERVISOR_TOKEN. A message for discovery is stored under its service:
the same one again changes nothing, another one updates the entry in Home Assistant. It may be sent at each start.

Strategy: root only takes over /data. Everything after that, this process too, runs as a user without rights.

Weakness: what the programs print is not marked with their names.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import click

from ..errors import FolderUnusable, SettingsInvalid, WeighbridgeError
from .surroundings import Surroundings

#: Options with these names are settings as they are. The others are settings of Weighbridge itself.
OTHER_SETTINGS = ("FITDAYS_", "GARMIN_", "MQTT_")
#: What the Supervisor gives this app alone.
TOKENS = ("SUPERVISOR_TOKEN", "HASSIO_TOKEN")

ALL_RIGHTS = "send+read+delete+administer"
#: The callers, each with a key, and what it is for.
CALLERS: Mapping[str, str] = {
    "integration": ALL_RIGHTS,
    "page": ALL_RIGHTS,
    "fitdays": "send",
    # On the page, in the code with which a phone is set up.
    "phone": "send",
}

#: How long the programs may take to finish what they are at. Less than `timeout` in config.yaml.
GRACE_S = 35
REQUEST_S = 5
#: Between two tries to reach the function at the start, and the Supervisor.
PAUSE_S, LONG_PAUSE_S = 0.5, 60


class Program(NamedTuple):
    """A command of `weighbridge`, and its environment."""

    words: Sequence[str]
    environment: Mapping[str, str]


@click.command("app")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("/data"), show_default=True,
    help="The folder with options.json, in which everything is kept.",
)  # fmt: skip
@click.option(
    "--config", type=click.Path(path_type=Path), default=Path("/config"), show_default=True,
    help="The folder in which you may put people.toml.",
)  # fmt: skip
@click.option("--supervisor", default="http://supervisor", show_default=True, help="The address of the Supervisor.")
@click.option("--user", type=click.IntRange(min=1), help="The id of the user to become. The folder will be theirs.")
@click.pass_obj
def command(around: Surroundings, data: Path, config: Path, supervisor: str, user: int | None) -> int:
    """Run the app of Home Assistant: function, page and Fitdays poller. The Supervisor starts it."""
    os.umask(0o077)
    people = take_people(config, data)
    if user is not None:
        become(user, data)
    environment = settings_of(read_options(data / "options.json"), around.environment)
    if people is not None:
        environment["WEIGHBRIDGE_PEOPLE"] = str(people)
    asked = Supervisor(supervisor, around.environment.get(TOKENS[0], ""))
    if environment.get("FITDAYS_TOPIC") and not environment.get("MQTT_URL"):
        environment["MQTT_URL"] = asked.broker()
    keys = keys_of(data / "keys.json")
    port = int(environment.get("PORT") or "8080")
    message = {"host": socket.gethostname(), "port": port, "key": keys["integration"]}
    return asyncio.run(_run(programs(environment, keys, data, port), asked, message))


# -- settings ----------------------------------------------------------------------------------------------


def read_options(path: Path) -> dict[str, Any]:
    """What is set in Home Assistant. Raises `SettingsInvalid`."""
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not JSON"
        raise SettingsInvalid(f"The options of the app, {path}, cannot be read: {reason}.") from None
    if not isinstance(options, dict):
        raise SettingsInvalid(f"The options of the app, {path}, must be an object.")
    return options


def setting_of(option: str) -> str:
    """The name of the setting that an option is."""
    name = option.upper()
    return name if name.startswith(OTHER_SETTINGS) else f"WEIGHBRIDGE_{name}"


def settings_of(options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of the programs: this one, without the Supervisor's tokens, and with the options."""
    settings = {name: value for name, value in environment.items() if name not in TOKENS}
    for option, value in options.items():
        settings[setting_of(option)] = str(value).lower() if isinstance(value, bool) else str(value).strip()
    return settings


def programs(environment: Mapping[str, str], keys: Mapping[str, str], data: Path, port: int) -> list[Program]:
    ours = ",".join(f"{caller}:{rights}={keys[caller]}" for caller, rights in CALLERS.items())
    more = environment.get("WEIGHBRIDGE_API_KEYS", "")
    common = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("FITDAYS_", "MQTT_")) and name != "WEIGHBRIDGE_API_KEYS"
    }
    function = {**common, "WEIGHBRIDGE_API_KEYS": f"{more},{ours}" if more else ours}
    caller = {**common, "WEIGHBRIDGE_URL": f"http://127.0.0.1:{port}"}
    page = {**caller, "WEIGHBRIDGE_KEY": keys["page"]}
    if page.get("WEIGHBRIDGE_FORM_PHONE_URL"):
        page["WEIGHBRIDGE_FORM_PHONE_KEY"] = keys["phone"]
    found = [
        Program(("serve", "--host", "0.0.0.0", "--port", str(port)), function),  # noqa: S104  # of the container
        # Only ingress is let in: WEIGHBRIDGE_FORM_INGRESS.
        Program(("form", "--server.address", "0.0.0.0"), page),  # noqa: S104  # as above
        Program(("refresh", "--daily", "--deliver-kept"), common),
    ]
    fitdays = {name: value for name, value in environment.items() if name.startswith(("FITDAYS_", "MQTT_"))}
    if fitdays.get("FITDAYS_EMAIL"):
        fitdays = {"FITDAYS_STATE": str(data / "fitdays"), **fitdays, "WEIGHBRIDGE_KEY": keys["fitdays"]}
        found.append(Program(("fitdays", "poll"), {**caller, **fitdays}))
    return found


# -- what is kept in /data ---------------------------------------------------------------------------------


def take_people(config: Path, data: Path) -> Path | None:
    """Copy people.toml to where the function can read it, whoever wrote it. None if there is none."""
    source, target = config / "people.toml", data / "people.toml"
    try:
        if not source.exists():
            target.unlink(missing_ok=True)
            return None
        shutil.copyfile(source, target)
    except OSError as e:
        raise SettingsInvalid(f"{source} cannot be read: {e.strerror}.") from None
    return target


def become(user: int, data: Path) -> None:
    """Become this user, who owns the folder and all that is in it."""
    try:
        # A restored backup may have brought files of root.
        for path in (data, *data.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    except OSError as e:
        raise FolderUnusable(f"{data} cannot be taken over for the user {user}: {e.strerror}.") from None


def keys_of(path: Path) -> dict[str, str]:
    """The key of each caller, made if there is none. Raises `SettingsInvalid`."""
    try:
        keys = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError):
        keys = None
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise SettingsInvalid(f"{path} cannot be read. Restore a backup of the app, or reinstall it.")
    if missing := CALLERS.keys() - keys.keys():
        keys |= {caller: secrets.token_hex(24) for caller in missing}
        draft = path.with_suffix(".part")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(keys), encoding="utf-8")
        draft.replace(path)
    return keys


# -- the Supervisor ----------------------------------------------------------------------------------------


class Refused(WeighbridgeError):
    """The Supervisor refused a request."""


class Unreachable(WeighbridgeError):
    """The Supervisor did not answer."""


class Supervisor:
    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token

    def broker(self) -> str:
        """The address of Home Assistant's MQTT broker, with its user and password. Raises `SettingsInvalid`."""
        try:
            found = self._ask("GET", "/services/mqtt")
        except Refused:
            raise SettingsInvalid(
                "fitdays_topic is set, but Home Assistant has no MQTT broker. Install the app Mosquitto broker, or set "
                "mqtt_url, or empty fitdays_topic."
            ) from None
        return broker_url(found)

    def announce(self, message: Mapping[str, object]) -> None:
        """Let Home Assistant offer the integration for the function at this address, with this key."""
        self._ask("POST", "/discovery", {"service": "weighbridge", "config": message})

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # the Supervisor's address
            f"{self._address}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:  # noqa: S310  # as above
                data = json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            e.close()
            raise Refused(f"The Supervisor refused {method} {path} ({e.code}).") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise Unreachable(f"The Supervisor did not answer {method} {path} as expected.") from None
        return data if isinstance(data, dict) else {}


def broker_url(service: Mapping[str, Any]) -> str:
    """The address of the broker that the Supervisor describes."""
    user, password = service.get("username"), service.get("password")
    credentials = f"{quote(user, safe='')}:{quote(password or '', safe='')}@" if user else ""
    return f"mqtt{'s' if service.get('ssl') else ''}://{credentials}{service['host']}:{service['port']}"


# -- the programs ------------------------------------------------------------------------------------------


async def _run(programs: Sequence[Program], supervisor: Supervisor, message: Mapping[str, Any]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    function, *callers = programs
    running = dict([await _start(function)])
    # A caller that finds no function would wait before it asks again.
    answering = asyncio.create_task(_until_it_answers(message["port"]))
    await asyncio.wait([*running, stopping, answering], return_when=asyncio.FIRST_COMPLETED)
    background = [answering, stopping]
    if answering.done():
        running |= [await _start(program) for program in callers]
        background.append(asyncio.create_task(_announce(supervisor, message)))
        await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    code = 0
    for ended, (program, process) in running.items():
        if ended.done() and not stop.is_set():
            _say(f"weighbridge {' '.join(program.words)} ended with {process.returncode}, so the app ends.")
            code = process.returncode or 1
    for task in background:
        task.cancel()
    for _, process in running.values():
        with suppress(ProcessLookupError):
            process.terminate()
    _, late = await asyncio.wait(running, timeout=GRACE_S)
    for unended in late:
        running[unended][1].kill()
    # A signal has a negative number.
    return code if 0 <= code <= 255 else 1


async def _start(program: Program) -> tuple[asyncio.Task[int], tuple[Program, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "weighbridge", *program.words, env=program.environment, stdin=asyncio.subprocess.DEVNULL
    )
    return asyncio.create_task(process.wait()), (program, process)


async def _until_it_answers(port: int) -> None:
    while not await asyncio.to_thread(_answers, port):
        await asyncio.sleep(PAUSE_S)


async def _announce(supervisor: Supervisor, message: Mapping[str, Any]) -> None:
    said = ""
    while True:
        try:
            await asyncio.to_thread(supervisor.announce, message)
        except Refused as fault:
            _say(f"{fault} Add the integration by hand: {message['host']}:{message['port']}.")
            return
        except Unreachable as fault:
            if str(fault) != said:
                said = str(fault)
                _say(f"{said} Trying again each minute.")
            await asyncio.sleep(LONG_PAUSE_S)
        else:
            _say("Home Assistant offers the integration Weighbridge: Settings, Devices & services.")
            return


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=REQUEST_S):
            return True
    except urllib.error.HTTPError as e:
        e.close()
        return True  # nobody is signed in
    except OSError:
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
