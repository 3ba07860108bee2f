"""The surroundings of a command: the environment with the file .env, the person at the terminal, the clock.

Rule: the environment wins over .env. Neither a value nor a name of that file is ever printed: in a line without its
`=`, the name could be a secret.
"""

from __future__ import annotations

import getpass
import os
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import SettingsInvalid

DOT_ENV = Path(".env")

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))  # Docker's and Podman's

Ask = Callable[[str], str]


def read_dot_env(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What .env in the working folder adds to the environment; None if there is no such file.

    Raises `SettingsInvalid`.
    """
    try:
        if not DOT_ENV.is_file():
            return None
    except PermissionError:  # a folder of somebody else, such as that of a container which runs as any user
        return None
    from dotenv import dotenv_values

    try:
        values = dotenv_values(DOT_ENV, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not valid UTF-8"
        raise SettingsInvalid(f"The file .env in this folder cannot be read: {reason}.") from None
    # NAME of the environment also wins over NAME_FILE of the file, which would otherwise be read first.
    return {
        name: value
        for name, value in values.items()
        if value is not None and name not in environment and name.removesuffix("_FILE") not in environment
    }


def _open_page(address: str) -> bool:
    """Open a page in the user's browser, if there is a screen."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and webbrowser.open(address)


def _in_container() -> bool:
    return any(file.exists() for file in CONTAINER_FILES)


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@dataclass(frozen=True)
class Terminal:
    """The person at the terminal."""

    ask: Ask = input
    ask_secret: Ask = getpass.getpass
    open_page: Callable[[str], bool] = _open_page
    in_container: Callable[[], bool] = _in_container
    #: Whether somebody can answer.
    is_there: Callable[[], bool] = _is_terminal


@dataclass(frozen=True)
class Surroundings:
    environment: Mapping[str, str]
    terminal: Terminal = field(default_factory=Terminal)
    #: Unix seconds.
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
