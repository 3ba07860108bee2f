"""Where the time of a missed goal goes: the imports of a program, or the modules that a call spends its time in.

Weakness: a profile makes what it looks at slower, small functions most, so only the shares count.
"""

from __future__ import annotations

import cProfile
import pstats
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

#: A line of `python -X importtime`: the µs of the module alone, those with what it imports, and its name.
IMPORTED = re.compile(r"^import time: +(\d+) \| +\d+ \| *([\w.]+)$", re.MULTILINE)
#: An environment that makes a program print these lines to its standard error.
PRINT_IMPORTS: Mapping[str, str] = {"PYTHONPROFILEIMPORTTIME": "1"}
OWN, STANDARD = "own modules", "standard library"


def imports_ms(printed: str) -> Counter[str]:
    """What a program printed -> package, `OWN` or `STANDARD` -> ms of its modules alone."""
    taken: Counter[str] = Counter()
    for us, module in IMPORTED.findall(printed):
        package = module.partition(".")[0]
        if package.startswith("weighbridge"):
            package = OWN
        elif package in sys.stdlib_module_names or package.startswith("_"):
            package = STANDARD
        taken[package] += int(us) / 1000  # type: ignore[assignment]  # a Counter may hold any number
    return taken


def modules_ms(work: Callable[[], object]) -> Counter[str]:
    """The modules and built-in functions that `work` spends its time in, without what they call."""
    profile = cProfile.Profile()
    profile.runcall(work)
    taken: Counter[str] = Counter()
    for (path, _, function), (_, _, own_s, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = function if path == "~" else "/".join(Path(path).parts[-2:])
        taken[place] += 1000 * own_s
    return taken
