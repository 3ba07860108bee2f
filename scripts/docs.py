"""What the documents show of the program: tables, and outputs. cogapp calls it: make fix writes, make check compares.

Strategy: a document names one function of this module in a comment (`[[[cog docs.fields() ]]]`), and what it prints
stands below that comment. A table is written each time. An output, which takes a run and is different at every one
(the time of arrival), stays as it is; `OUTPUTS=new make fix` runs the programs again, and tests/test_docs.py compares.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from weighbridge.http.problems import FAULTS
from weighbridge.operate.demo import embedded, post
from weighbridge.operate.serving import function_process
from weighbridge.reading.dialects import DIALECTS, Unused
from weighbridge.reading.identities import IDENTITIES, LEAN_SOFT_TISSUE
from weighbridge.reading.measures import MEASURES
from weighbridge.receipt import DEVELOPER_FIELDS, NATIVE, NO_HOME
from weighbridge.resources import EXAMPLE, TEMPLATES

ROOT = Path(__file__).parent.parent

# -- tables ------------------------------------------------------------------------------------------------

#: What Garmin Connect calls a field, and what to know of it.
SHOWN = {
    "weight": "Weight",
    "percent_fat": "Body Fat",
    "percent_hydration": "Body Water",
    "bone_mass": "Bone Mass",
    "muscle_mass": "Skeletal Muscle Mass: Garmin's word, also when your app's muscle is all lean soft tissue",
    "visceral_fat_rating": "Visceral Fat, a rating from 1 to 59",
    "visceral_fat_mass": "Visceral Fat Mass",
    "basal_met": "taken, but not given back by Garmin",
    "active_met": "taken, but not given back by Garmin",
    "metabolic_age": "Metabolic Age",
    "physique_rating": "Physique Rating",
    "bmi": "BMI; some values were reported hidden without it",
}


def fields() -> None:
    rows = []
    for name, measure in MEASURES.items():
        label = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
        if name in NATIVE:
            rows.append((label, f"`{NATIVE[name].name}`", SHOWN[NATIVE[name].name]))
        else:
            developer = DEVELOPER_FIELDS.get(name)
            where = f"developer field `{developer.name}`, second template only" if developer else "–"
            rows.append((label, where, NO_HOME[name]))
    _table(("your value", "in the FIT file", "Garmin Connect"), rows)


def problems() -> None:
    faults = sorted(FAULTS.values(), key=lambda fault: fault.status)
    rows = [(str(fault.status), f"`{fault.slug}`", fault.title) for fault in faults]
    _table(("status", "type `urn:weighbridge:…`", "meaning"), rows)


def settings(module: str) -> None:
    """The table `VARIABLES` of a module."""
    rows = []
    for variable in import_module(module).VARIABLES:
        default = variable.default.replace(str(TEMPLATES), "templates")
        rows.append((f"`{variable.name}`", f"`{default}`" if default else "", variable.meaning))
    _table(("variable", "default", "meaning"), rows)


def dialects() -> None:
    rows = []
    for dialect, words in DIALECTS.items():
        used = ", ".join(f"`{key}`" for key, meaning in words.items() if not isinstance(meaning, Unused))
        rows.append((dialect, used))
    _table(("from", "keys that are used"), rows)


def identities() -> None:
    rows = [
        (rule.quantity, "equal to" if rule.both_ways else "at most", rule.way)
        for rule in (*IDENTITIES, LEAN_SOFT_TISSUE)
    ]
    _table(("this", "is", "that"), rows)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [f"| {' | '.join(row)} |" for row in (titles, *rows)]
    lines.insert(1, f"|{'---|' * len(titles)}")
    cog().outl("\n".join(lines))


# -- outputs -----------------------------------------------------------------------------------------------


def answer() -> None:
    """The answer to `curl -d @examples/fitdays.json`, of a function that keeps files."""
    _output("json", answer_to_the_example)


def demo() -> None:
    """How `make demo` ends."""
    _output("text", demo_ending)


def sdk() -> None:
    """How `make verify-sdk` ends."""
    _output("text", sdk_ending)


def answer_to_the_example() -> str:
    with tempfile.TemporaryDirectory() as folder, function_process(embedded(os.environ, Path(folder))) as address:
        receipt = post(address, EXAMPLE.read_bytes())
    return json.dumps(receipt, indent=2, ensure_ascii=False)


def demo_ending() -> str:
    with tempfile.TemporaryDirectory() as folder:
        said = _said_by("demo", folder=folder)
    return said[said.index("The file that was kept") :].rstrip()


def sdk_ending() -> str:
    """The last rows, with the titles above them."""
    lines = _said_by("sdk", "verify", folder=ROOT).splitlines()
    titles = max(number for number, line in enumerate(lines) if line.startswith("reading "))
    return "\n".join([lines[titles], "…", *lines[-9:]])


def plain(text: str) -> str:
    """An output without what is new at every run: the instant of arrival, and the fingerprint it makes."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\dZ", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", text)
    return re.sub(r"TIME_[0-9a-f]{12}", "TIME_SHA", text)


def _said_by(*command: str, folder: str | Path) -> str:
    whole = [sys.executable, "-m", "weighbridge", *command]
    return subprocess.run(whole, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def _output(kind: str, run: Callable[[], str]) -> None:
    new = f"```{kind}\n{run()}\n```\n" if os.environ.get("OUTPUTS") == "new" else cog().previous
    cog().out(new)


def cog() -> Any:
    """What cogapp gives to the code of a document, while it runs it."""
    return import_module("cog")
