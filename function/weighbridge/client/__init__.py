"""The function, called from elsewhere: the one client that every caller of ours uses.

    settings.py   where the function is, and the key it wants
    answers.py    what an answer means: receipts and problems
    calls.py      the calls, blocking and async

Rule: a caller asks a `Result` whether it is final and when it may be sent again, and has no table of its own.
"""

from __future__ import annotations

from .answers import Reply, Result, problem
from .calls import AsyncClient, Client
from .settings import VARIABLES, Target, read_target

__all__ = ["VARIABLES", "AsyncClient", "Client", "Reply", "Result", "Target", "problem", "read_target"]
