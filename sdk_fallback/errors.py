"""Faults of the fallback.

FallbackError
├── RunnerUnusable         the chosen machine, its Java or its jar cannot be used; one sentence that says what to do
│   └── NothingAvailable   nothing was chosen, and nothing is here: a reason to skip
└── RunFailed         FitCSVTool ran, but what it left behind is not to be trusted
"""

from __future__ import annotations

from collections.abc import Iterator


class FallbackError(Exception):
    """Root of what the fallback raises on purpose. No message holds a secret or a measurement."""


class RunnerUnusable(FallbackError):
    """The chosen machine or tool cannot be used."""


class NothingAvailable(RunnerUnusable):
    """Nothing was chosen, and there is neither a Java nor a jar to be found."""


class RunFailed(FallbackError):
    """FitCSVTool itself, or the file it left, says that it did not do its work."""


def causes(e: BaseException | None) -> Iterator[BaseException]:
    """A fault and all that it wraps: requests and urllib3 keep it in `args`, in `reason`, or chained."""
    while e is not None:
        yield e
        inner = getattr(e, "reason", None) or next(iter(e.args), None)
        e = inner if isinstance(inner, BaseException) else e.__cause__ or e.__context__
