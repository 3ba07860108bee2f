"""Run `weighbridge sdk …` in this process, with only the settings that a test passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from click.testing import CliRunner, Result

from weighbridge.cli import main
from weighbridge.operate.surroundings import Surroundings


def sdk(arguments: Sequence[str], environment: Mapping[str, str]) -> Result:
    """The result: exit code, standard output and standard error. An unexpected exception is raised here."""
    return CliRunner().invoke(main, ["sdk", *arguments], obj=Surroundings(environment), catch_exceptions=False)
