"""Which machine: the one chosen by name, or the one that is configured, or this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ..errors import RunnerUnusable
from ..settings import setting
from .local_java import local_java
from .port import Runner

#: What `--on` takes.
MACHINES = ("local", "windows")


@contextmanager
def runner_from(environment: Mapping[str, str], on: str | None = None) -> Iterator[Runner]:
    """Raises `RunnerUnusable`, or `NothingAvailable` where nothing was chosen."""
    configured = any(setting(environment, name) for name in ("WINRM_HOST",))
    if on == "local" or not (on or configured):
        yield local_java(environment, chosen=on is not None)
        return
    if not configured:
        raise RunnerUnusable("No Windows machine is named. Set WINRM_HOST (see sdk_fallback/windows/README.md).")
    # Not before it is needed: the function's own requirements do without these libraries.
    from .winrm import winrm

    yield winrm(environment)
