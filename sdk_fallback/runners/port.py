"""The port: what every machine that runs FitCSVTool offers.

Rule: each run has a new, empty folder, which is gone afterwards, whatever happened. A deadline lies over all of it.
What an exit code or an output means is `fitcsvtool`'s knowledge, not the machine's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class ToolRun(NamedTuple):
    """What one run of the tool said."""

    exit_code: int
    #: Standard output and standard error, together.
    output: str


class Ran(NamedTuple):
    """What a batch of runs left behind."""

    #: Every file in the folder after the runs that was not among those sent.
    files: Mapping[str, bytes]
    #: One for each command, in order.
    outcomes: Sequence[ToolRun]


class Runner(Protocol):
    """A machine with Java and FitCSVTool."""

    #: As a report names it: "the local Java".
    name: str

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        """Put `files` (plain names) into a new folder and run FitCSVTool there, once for each of `commands` (its
        arguments), one after the other.

        Raises `RunnerUnusable`.
        """
        ...

    def links(self) -> Iterator[str]:
        """What a run needs, from the near end to the far one: a sentence for each link that holds.

        Raises `RunnerUnusable` at the first that does not.
        """
        ...
