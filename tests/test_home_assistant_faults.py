"""The faults of the Home Assistant package of version 0.1: each has tests that fail where it is.

Rule: a test that stands for a fault is marked `@pytest.mark.fault(number)`. Those in tests/home_assistant and
tests/e2e/home_assistant run in Home Assistant itself, which not every machine has, so the marks are read here.

Weakness: no test ran with version 0.1. The integration is newer, and the package had other entities and scripts. What
was wrong was seen by hand.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
#: What version 0.1 did wrong, and whether what is left of the package still does such a thing.
FAULTS = {
    1: (
        "a time that an integration gives as a datetime is dropped, and arrival counts",
        False,
    ),  # it sends states, which are texts
    2: ("the same numbers on another day are dropped without a word", True),
    3: ("people are mixed into one set of entities", True),
    4: ("an older weigh-in that arrives late becomes the current one", False),  # it has no sensors of values
    5: ("of several rejections within a second, one is shown", True),
    6: ("what was typed is lost although it was rejected", True),
    7: ("undated retained messages are reported again after each restart", False),  # it does not listen to MQTT
    8: ("all is green although the sign-in was refused", True),
    9: ("nobody hears that the function is away until someone weighs in", True),
    10: ("a wrong key looks fine", True),
    11: ("with several people, the days of the sign-ins are not known", True),
    12: ("a notification for each weigh-in, and lines in the log for each attempt", True),
    13: ("without a broker it has to be cut by hand", True),
    14: ("what it created stays when it is removed", True),
}
REAL = TESTS / "e2e" / "home_assistant"
#: In the harness for integrations, and in Home Assistant itself with a broker.
INTEGRATION = set(TESTS.glob("home_assistant/test_*.py"))
INTEGRATION_REAL = {REAL / "test_faults.py", REAL / "test_browser.py"}
PACKAGE = {REAL / "test_package.py", TESTS / "test_callers.py"}


def marked(files: set[Path]) -> dict[int, list[str]]:
    """The tests with a docstring that are marked with each number."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in files:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                        for number in mark.args:
                            found[ast.literal_eval(number)].append(node.name)
    return found


@pytest.mark.parametrize(("files", "numbers"), [
    pytest.param(INTEGRATION, set(FAULTS), id="integration"),
    pytest.param(INTEGRATION_REAL, set(FAULTS), id="integration, real"),
    pytest.param(PACKAGE, {number for number, (_, still) in FAULTS.items() if still}, id="package"),
])  # fmt: skip
def test_every_fault_has_a_test(files: set[Path], numbers: set[int]) -> None:
    """Each fault has two tests for the integration, one of them in Home Assistant itself, and one for the package if it
    still does that thing."""
    assert set(marked(files)) == numbers
