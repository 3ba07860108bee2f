"""The port: what every machine that runs FitCSVTool offers.

Rule: each run has a new, empty folder, which is always removed afterwards. One deadline covers the whole run.
`fitcsvtool` knows what an exit code or an output means; the machine does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class ToolRun(NamedTuple):
    """The result of one run of the tool."""

    exit_code: int
    #: Standard output and standard error, together.
    output: str


class Ran(NamedTuple):
    """The results of a batch of runs."""

    #: Every file that was in the folder after the runs and had not been sent.
    files: Mapping[str, bytes]
    #: One for each command, in order.
    outcomes: Sequence[ToolRun]


class Runner(Protocol):
    """A machine with Java and FitCSVTool."""

    #: The name in reports, such as "the local Java".
    name: str

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        """Put `files` (plain names) into a new folder and run FitCSVTool there, once for each of `commands` (its
        arguments), one after the other.

        Raises `RunnerUnusable`.
        """
        ...

    def links(self) -> Iterator[str]:
        """Check what a run needs, step by step, and yield a sentence for each step that works.

        Raises `RunnerUnusable` at the first that does not.
        """
        ...
