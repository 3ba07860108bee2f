"""Faults of the fallback.

FallbackError
├── RunnerUnusable         the chosen machine, its Java or its jar cannot be used; the message says what to do
│   └── NothingAvailable   no machine was chosen and this computer has none: a reason to skip
├── InputUnusable          the file to check is not a weight file
└── RunFailed              FitCSVTool ran, but its result cannot be trusted
"""

from __future__ import annotations

from collections.abc import Iterator


class FallbackError(Exception):
    """Root of what the fallback raises on purpose. No message holds a secret or a measurement."""


class RunnerUnusable(FallbackError):
    """The chosen machine or tool cannot be used."""


class NothingAvailable(RunnerUnusable):
    """No machine was chosen, and this computer lacks Java or the jar."""


class InputUnusable(FallbackError):
    """The file is intact, but it is not one to check."""


class RunFailed(FallbackError):
    """FitCSVTool's output, or the file it wrote, shows that it failed."""


def causes(e: BaseException | None) -> Iterator[BaseException]:
    """A fault and everything it wraps: requests and urllib3 keep it in `args`, in `reason`, or chained."""
    while e is not None:
        yield e
        inner = getattr(e, "reason", None) or next(iter(e.args), None)
        e = inner if isinstance(inner, BaseException) else e.__cause__ or e.__context__
