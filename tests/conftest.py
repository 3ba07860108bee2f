"""Fixtures that several test modules use, no deadlines for properties, and the rule about skips."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.skips import NOT_HERE

pytest_plugins = ["tests.garmin.fixtures"]

# On a busy machine anything may take long, and a property is about the result.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip_in_ci(report)
    return report


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Report what a test has measured, at the end of the run: it may be one of several processes."""
    return lambda text: record_property("figure", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, and every reason for a skip, once, with the number of tests."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(f"measured: {text}")
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, tests in skipped.items():
        terminalreporter.write_line(f"{tests} skipped: {reason}")


def _no_skip_in_ci(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return
    if not _reason(report).startswith(NOT_HERE):
        report.longrepr = f"{_reason(report)} (with CI set, no test that could run here may be skipped)"
        report.outcome = "failed"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
