"""The licenses of all locked packages, held against an allow-list. `make check` runs it.

Rule: each package of the lock files has one line in licenses.toml, with a license that is allowed there or a reason why
it is used all the same. The record, the lock files and the installed packages agree. What is locked for another system
or Python, and so cannot be looked at here, is named.

Facts: a package states its license as an SPDX expression (`License-Expression`, PEP 639), or, if it is older, in
`License` and in classifiers, in words of its own.

Weakness: it believes what packages state, and reads no texts of licenses. Two lists that nobody needs to run
Weighbridge are left out: that of Home Assistant for the tests, and that of the tools of `make sbom` and `make audit`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
#: Lock files that users install from, and the one for maintainers.
FOR_USERS = ("requirements.txt", "requirements-form.txt", "requirements-browser.txt")
FOR_MAINTAINERS = "requirements-dev.txt"

#: Words for a license in metadata -> SPDX. "BSD License" does not say which of them.
SPELLED = {
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "LicenseRef-BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


@dataclass(frozen=True)
class Record:
    """What licenses.toml says: the allowed SPDX identifiers, package -> expression, package -> reason."""

    allowed: frozenset[str]
    packages: Mapping[str, str]
    reasons: Mapping[str, str]


def read_record() -> Record:
    found = tomllib.loads((ROOT / "scripts/licenses.toml").read_text(encoding="utf-8"))
    return Record(frozenset(found["allowed"]), found["packages"], found["reasons"])


def locked(*lists: str) -> dict[str, list[Requirement]]:
    """Package -> its pins, in these lock files. There may be one for each system or Python."""
    found: dict[str, list[Requirement]] = {}
    for name in lists:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if re.match(r"[a-z0-9]", line):
                pin = Requirement(line.removesuffix("\\"))
                found.setdefault(pin.name, []).append(pin)
    return found


def stated(metadata: Message) -> str:
    """The license that a package states, as an SPDX expression; empty if it states none that is understood."""
    classifiers = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")
    ]
    for words in (metadata["License-Expression"], metadata["License"], *classifiers):
        try:
            return canonicalize_license_expression(SPELLED.get(words, words or ""))
        except InvalidLicenseExpression:
            continue
    return ""


def identifiers(expression: str) -> set[str]:
    """The licenses in an expression. Of alternatives each counts: which one is chosen is for a person to say."""
    return set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"}


def faults_of_record(record: Record, names: set[str]) -> list[str]:
    """What is wrong with the record alone, given the names of all locked packages."""
    here = "scripts/licenses.toml"
    return [
        *(f"{name} is not in [packages] of {here}. Add it with its license." for name in names - set(record.packages)),
        *(f"{name} is not locked. Remove it from {here}." for name in set(record.packages) - names),
        *(f"{name} is not in [packages]. Remove it from [reasons] of {here}." for name in set(record.reasons) - names),
        *(
            f"{name} is under {terms}, which is not allowed. Do without it, or give the reason in {here}."
            for name, terms in record.packages.items()
            if not identifiers(terms) <= record.allowed and name not in record.reasons
        ),
    ]


def fault_of_package(name: str, found: str, record: Record) -> str | None:
    """What is wrong with an installed package that states this license."""
    recorded = record.packages.get(name, "")
    if not found and name not in record.reasons:
        return f"{name} states no license. Look into its files, and give the reason in scripts/licenses.toml."
    if found and found != recorded:
        return f"{name} states {found}, but scripts/licenses.toml says {recorded or 'nothing'}. Correct one of them."
    if found and name in record.reasons and identifiers(recorded) <= record.allowed:
        return f"{name} needs no reason in scripts/licenses.toml: {recorded} is allowed."
    return None


def check() -> tuple[list[str], list[str]]:
    """All faults, and the pins that cannot be looked at on this machine."""
    record, pins = read_record(), locked(*FOR_USERS, FOR_MAINTAINERS)
    faults, elsewhere = faults_of_record(record, set(pins)), []
    for name, pin in ((name, pin) for name, all_pins in pins.items() for pin in all_pins):
        if pin.marker and not pin.marker.evaluate():
            elsewhere.append(f"{pin.name} {next(iter(pin.specifier)).version}")
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            faults.append(f"{name} is locked but not installed. Install the lists again: make check.")
            continue
        if not pin.specifier.contains(installed.version):
            faults.append(f"{name} {installed.version} is installed, but {pin.specifier} is locked: make check.")
        # On Python 3.11 typed as a protocol; it is an email.message.Message.
        elif fault := fault_of_package(name, stated(installed.metadata), record):  # type: ignore[arg-type]
            faults.append(fault)
    return sorted(faults), elsewhere


def main() -> None:
    faults, elsewhere = check()
    if elsewhere:
        print(f"Licenses not checked, because locked for another system or Python: {', '.join(elsewhere)}")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
