"""`weighbridge sdk …` in this process, with just the settings that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from click.testing import CliRunner, Result

from weighbridge.cli import main
from weighbridge.operate.surroundings import Surroundings


def sdk(arguments: Sequence[str], environment: Mapping[str, str]) -> Result:
    """Its exit code, its standard output and its standard error. A fault that it does not expect is raised here."""
    return CliRunner().invoke(main, ["sdk", *arguments], obj=Surroundings(environment), catch_exceptions=False)
