"""The client of the function, used by all of Weighbridge's own callers.

    settings.py   where the function is, and the key it needs
    answers.py    what an answer means: receipts and problems
    calls.py      the calls, blocking and async

Rule: a caller asks a `Result` whether it is final and when to send again, and has no table of its own.
"""

from __future__ import annotations

from .answers import Reply, Result, problem
from .calls import AsyncClient, Client
from .settings import VARIABLES, Target, read_target, with_local_key

__all__ = [
    "VARIABLES",
    "AsyncClient",
    "Client",
    "Reply",
    "Result",
    "Target",
    "problem",
    "read_target",
    "with_local_key",
]
