"""`make audit`: asks the OSV database for known vulnerabilities of every locked package, over pip-audit.

Rule: "nothing found" is only said if the database was asked about every pin and is one that finds something. So it is
first asked about a version that is known to be vulnerable.

Facts (pip-audit 2.10): it exits with 1 for a vulnerability, and with 1 when it cannot look; only in the first case
is there JSON. A package that its service does not know is skipped, with "no known vulnerabilities" and exit code 0.

Strategy: all pins are asked about, also those for other systems and Pythons. `AUDIT=if-possible` turns a database that
cannot be reached, or that does not know the vulnerable version, into a skip that gives the reason. Once it has shown
that it is one, whatever goes wrong is a failure. `OSV_URL` is another address of the database.

Weakness: packages that pip-audit is not given, such as those of Home Assistant for the tests or of the base images, are
not looked at. It asks about names and versions, and no package is read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.licenses import FOR_MAINTAINERS, FOR_USERS, ROOT, locked

LISTS = (*FOR_USERS, FOR_MAINTAINERS, "scripts/requirements-supply.txt")
PIP_AUDIT = ROOT / ".venv-supply/bin/pip-audit"
#: CVE-2019-10906, a way out of the sandbox.
VULNERABLE = ("jinja2", "2.4.1")


def answer(pins: Iterable[tuple[str, str]], environment: Mapping[str, str]) -> list[Any] | str:
    """What pip-audit says about each of these (name, version), or why it could not look."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(PIP_AUDIT), "--disable-pip", "--no-deps", "--vulnerability-service", "osv"]
        asked = Path(folder) / "asked.txt"
        asked.write_text("".join(f"{name}=={version}\n" for name, version in pins), encoding="utf-8")
        command += ["--requirement", str(asked)]
        if address := environment.get("OSV_URL"):
            command += ["--osv-url", address]
        command += ["--format", "json", "--progress-spinner", "off", "--desc", "off"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies: list[Any] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return dependencies


def without_repetition(pins: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The pins in as few lists as possible, each package once in a list: pip-audit refuses a second version."""
    lists: list[dict[str, str]] = []
    for name, version in pins:
        for one in lists:
            if name not in one:
                one[name] = version
                break
        else:
            lists.append({name: version})
    return [list(one.items()) for one in lists]


def found(dependencies: Iterable[Any]) -> dict[tuple[str, str], list[str]]:
    """(name, version) -> its vulnerabilities, for each package that was looked at."""
    return {
        (one["name"], one["version"]): [vulnerability["id"] for vulnerability in one["vulns"]]
        for one in dependencies
        if "vulns" in one
    }


class NoDatabase(Exception):
    """There is no database of vulnerabilities here, and why."""


def audit(environment: Mapping[str, str]) -> str:
    """A sentence about what was found; `SystemExit` if there is a vulnerability, or if it could not look."""
    try:
        return look_up(environment)
    except NoDatabase as e:
        if environment.get("AUDIT") == "if-possible":
            return f"make audit is skipped: there is no database of vulnerabilities here: {e}"
        sys.exit(f"Vulnerabilities could not be looked up: {e}\nAUDIT=if-possible skips this where it cannot be.")


def look_up(environment: Mapping[str, str]) -> str:
    """A sentence about what was found. Raises `NoDatabase`, or `SystemExit` if there is a vulnerability."""
    first = answer([VULNERABLE], environment)
    if isinstance(first, str):
        raise NoDatabase(first)
    if not found(first).get(VULNERABLE):
        raise NoDatabase(f"it knows nothing about {'=='.join(VULNERABLE)}")
    pins = {(pin.name, next(iter(pin.specifier)).version) for pins in locked(*LISTS).values() for pin in pins}
    looked_at: dict[tuple[str, str], list[str]] = {}
    for versions in without_repetition(sorted(pins)):
        said = answer(versions, environment)
        if isinstance(said, str):
            sys.exit(f"The look-up broke off: {said}")
        looked_at |= found(said)
    if missing := pins - set(looked_at):
        sys.exit(f"The database was not asked about {', '.join('=='.join(pin) for pin in sorted(missing))}.")
    if bad := {pin: ids for pin, ids in looked_at.items() if ids}:
        sys.exit("\n".join(f"{'=='.join(pin)}: {', '.join(ids)}" for pin, ids in sorted(bad.items())))
    return f"{len(pins)} locked versions, and no known vulnerability."


if __name__ == "__main__":
    print(audit(os.environ))
