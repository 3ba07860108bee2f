"""The check of licenses: this checkout passes, and nothing passes unseen."""

from __future__ import annotations

import re
from email.message import Message

import pytest

from scripts.licenses import (
    FOR_MAINTAINERS,
    FOR_USERS,
    Record,
    check,
    fault_of_package,
    faults_of_record,
    locked,
    main,
    read_record,
    stated,
)

RECORD = Record(frozenset({"MIT"}), {"a": "MIT", "b": "GPL-3.0-only"}, {"b": "A tool."})


def test_this_checkout() -> None:
    """Every locked package has a recorded license, which is allowed or has a reason, and which the package states."""
    assert check()[0] == []


def test_what_is_not_checked_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A version that is locked for another Python is named. numpy has one for Python 3.11 and one for later ones."""
    main()
    assert re.search(r"^Licenses not checked, .*\bnumpy \d", capsys.readouterr().out)


def test_each_list_is_read() -> None:
    """A package of each lock file is among the locked ones."""
    assert {"pydantic", "streamlit", "playwright", "pytest"} <= set(locked(*FOR_USERS, FOR_MAINTAINERS))
    assert "pytest" not in locked(*FOR_USERS)


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"License-Expression": "MIT OR Apache-2.0", "License": "BSD"}, "MIT OR Apache-2.0"),
        ({"License": "mit"}, "MIT"),
        ({"License": "BSD", "Classifier": "License :: OSI Approved :: BSD License"}, "LicenseRef-BSD"),
        ({"License": "Permission is granted …", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "as you like", "Classifier": "License :: OSI Approved"}, ""),
        ({"Classifier": "Programming Language :: Python"}, ""),
    ],
)
def test_stated(fields: dict[str, str], expression: str) -> None:
    """The SPDX expression counts, then `License` if it is one, then the classifier; else nothing is stated."""
    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert stated(metadata) == expression


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (Record(RECORD.allowed, {"b": "GPL-3.0-only"}, RECORD.reasons), "a is not in [packages]"),
        (Record(RECORD.allowed, {**RECORD.packages, "c": "MIT"}, RECORD.reasons), "c is not locked"),
        (Record(RECORD.allowed, RECORD.packages, {"b": "A tool.", "d": "?"}), "d is not in [packages]"),
        (Record(RECORD.allowed, RECORD.packages, {}), "b is under GPL-3.0-only, which is not allowed"),
        (Record(RECORD.allowed, {**RECORD.packages, "a": "MIT OR X"}, RECORD.reasons), "a is under MIT OR X"),
    ],
)
def test_license_that_is_not_allowed(record: Record, words: str) -> None:
    """A license that is neither allowed nor has a reason is refused, and so is a package without a license."""
    assert faults_of_record(RECORD, {"a", "b"}) == []
    (fault,) = faults_of_record(record, {"a", "b"})
    assert fault.startswith(words)


@pytest.mark.parametrize(
    ("name", "found", "words"),
    [
        ("a", "MIT", None),
        ("b", "GPL-3.0-only", None),
        ("b", "", None),
        ("a", "", "a states no license"),
        ("a", "AGPL-3.0-only", "a states AGPL-3.0-only, but"),
        ("b", "MIT", "b states MIT, but"),
    ],
)
def test_installed_package(name: str, found: str, words: str | None) -> None:
    """A package that states another license than the recorded one is refused, even if that one is allowed."""
    fault = fault_of_package(name, found, RECORD)
    assert fault is None if words is None else fault and fault.startswith(words)


def test_reason_that_is_not_needed() -> None:
    """A reason for a package whose license is allowed is refused, so that the list of reasons stays true."""
    record = Record(RECORD.allowed, RECORD.packages, {"a": "Why?", "b": "A tool."})
    assert str(fault_of_package("a", "MIT", record)).startswith("a needs no reason")


def test_reasons_end_with_a_full_stop() -> None:
    """Each reason is a sentence, because docs/reference/licenses.md shows it."""
    assert all(reason.endswith(".") for reason in read_record().reasons.values())
