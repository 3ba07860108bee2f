"""Writes the README's tables and outputs from the program itself: python -m scripts.readme"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from weighbridge.receipt import DEVELOPER_FIELDS, NATIVE, NO_HOME
from weighbridge.reading.dialects import DIALECTS, UNUSED
from weighbridge.http.problems import FAULTS
from weighbridge.reading.identities import IDENTITIES, LEAN_SOFT_TISSUE
from weighbridge.reading.measures import MEASURES
from weighbridge.settings import TEMPLATES, VARIABLES
from weighbridge.operate.demo import embedded, function_process, post

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"

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


def fields_table() -> str:
    lines = ["| your value | in the FIT file | Garmin Connect |", "|---|---|---|"]
    for name, measure in MEASURES.items():
        label = f"{measure.label} ({measure.unit})" if measure.unit else measure.label
        if name in NATIVE:
            lines.append(f"| {label} | `{NATIVE[name].name}` | {SHOWN[NATIVE[name].name]} |")
        else:
            developer = DEVELOPER_FIELDS.get(name)
            where = f"developer field `{developer.name}`, second template only" if developer else "–"
            lines.append(f"| {label} | {where} | {NO_HOME[name]} |")
    return "\n".join(lines)


def problems_table() -> str:
    lines = ["| status | type `urn:weighbridge:…` | meaning |", "|---|---|---|"]
    faults = sorted(FAULTS.values(), key=lambda fault: fault.status)
    lines += [f"| {fault.status} | `{fault.slug}` | {fault.title} |" for fault in faults]
    return "\n".join(lines)


def settings_table() -> str:
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for variable in VARIABLES:
        default = variable.default.replace(str(TEMPLATES), "templates")
        lines.append(f"| `{variable.name}` | {f'`{default}`' if default else ''} | {variable.meaning} |")
    return "\n".join(lines)


def dialects_table() -> str:
    lines = ["| from | keys that are used |", "|---|---|"]
    for dialect, words in DIALECTS.items():
        used = ", ".join(f"`{key}`" for key, meaning in words.items() if meaning.attribute != UNUSED)
        lines.append(f"| {dialect} | {used} |")
    return "\n".join(lines)


def identities_table() -> str:
    lines = ["| this | is | that |", "|---|---|---|"]
    for rule in (*IDENTITIES, LEAN_SOFT_TISSUE):
        sign = "equal to" if rule.both_ways else "at most"
        lines.append(f"| {rule.quantity} | {sign} | {rule.way} |")
    return "\n".join(lines)


TABLES: Mapping[str, Callable[[], str]] = {
    "fields": fields_table,
    "dialects": dialects_table,
    "identities": identities_table,
    "problems": problems_table,
    "settings": settings_table,
}


def plain(text: str) -> str:
    """An output without what is new at every run: the instant of arrival, and the fingerprint it makes."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\dZ", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", text)
    return re.sub(r"TIME_[0-9a-f]{12}", "TIME_SHA", text)


def main() -> int:
    text = README.read_text(encoding="utf-8")
    for name, table in TABLES.items():
        text = re.sub(rf"(<!-- table: {name} -->\n)(?:\|.*\n)*", _after_marker(table()), text)
    with tempfile.TemporaryDirectory() as folder, function_process(embedded(Path(folder))) as address:
        receipt = post(address, (ROOT / "examples" / "fitdays.json").read_bytes())
    text = with_block(text, "output: curl -d @examples/fitdays.json", json.dumps(receipt, indent=2, ensure_ascii=False))
    demo = subprocess.run([sys.executable, "-m", "scripts.demo"], cwd=ROOT, check=True, capture_output=True, text=True)
    ending = demo.stdout[demo.stdout.index("The file that was kept") :].rstrip()
    text = with_block(text, "output: make demo", ending)
    README.write_text(with_block(text, "output: make verify-sdk", sdk_ending()), encoding="utf-8")
    return 0


def sdk_ending() -> str:
    """The last rows of the cross-check, with the titles above them."""
    command = [sys.executable, "-m", "sdk_fallback", "verify"]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    titles = max(number for number, line in enumerate(lines) if line.startswith("reading "))
    return "\n".join([lines[titles], "…", *lines[-9:]])


def _after_marker(content: str) -> Callable[[re.Match[str]], str]:
    return lambda match: match[1] + content + "\n"


def with_block(text: str, marker: str, content: str) -> str:
    pattern = rf"(<!-- {re.escape(marker)} -->\n```\w+\n).*?(```)"
    return re.sub(pattern, lambda m: m.group(1) + content + "\n" + m.group(2), text, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
