"""`weighbridge sdk …` in this process, with just the settings that a test gives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from click.testing import CliRunner, Result

from sdk_fallback.cli import command

_SETTINGS = ("WEIGHBRIDGE_", "GARMIN_", "WINRM_", "PROXMOX_", "FIT_CSV_TOOL_", "JAVA_HOME", "XDG_CACHE_HOME")


def sdk(arguments: Sequence[str], environment: Mapping[str, str]) -> Result:
    """Its exit code, its standard output and its standard error. A fault that it does not expect is raised here."""
    unset = {name: None for name in os.environ if name.startswith(_SETTINGS)}
    return CliRunner().invoke(command, list(arguments), env={**unset, **environment}, catch_exceptions=False)
