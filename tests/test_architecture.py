"""The house's arrows: who may import whom."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FUNCTION = ROOT / "function"
MODULES = sorted(FUNCTION.rglob("*.py"))


def imports_of(path: Path) -> list[tuple[int, str]]:
    """(level, module) of each import, those inside functions too; a relative `from . import x` is (1, "x")."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(node.level, name) for name in names]
    return found


def outside(path: Path) -> set[str]:
    """Top-level packages from outside the standard library that a module imports."""
    tops = {name.partition(".")[0] for level, name in imports_of(path) if level == 0}
    return tops - set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inside_function_all_imports_of_our_own_are_relative(path: Path) -> None:
    """functions-framework loads the folder as a package called `main`; `function.…` would load it twice."""
    assert not outside(path) & {"function", "main", "scripts", "tests", "integrations", "sdk_fallback"}


def test_fit_imports_only_the_standard_library_fastcrc_and_for_the_proof_fitdecode() -> None:
    for path in (FUNCTION / "fit").glob("*.py"):
        allowed = {"fastcrc"} | ({"fitdecode"} if path.name == "verify.py" else set())
        assert outside(path) <= allowed, path.name
        for level, name in imports_of(path):
            assert level <= 1 or (level == 2 and name == "errors"), f"{path.name} imports {name}"


def test_only_the_proof_imports_fitdecode() -> None:
    assert [p.name for p in MODULES if "fitdecode" in outside(p)] == ["verify.py"]


def test_only_the_http_shell_imports_flask() -> None:
    assert [p.name for p in MODULES if {"flask", "werkzeug"} & outside(p)] == ["main.py"]


def test_only_the_garth_session_imports_garth() -> None:
    users = [p.relative_to(FUNCTION).as_posix() for p in MODULES if "garth" in outside(p)]
    assert users == ["delivery/sessions/garth.py"]


@pytest.mark.parametrize("name", ["reading.py", "dialects.py", "body.py", "pipeline.py", "fit", "delivery/receipt.py"])
def test_the_core_has_no_clock_no_randomness_no_environment_no_io(name: str) -> None:
    place = FUNCTION / name
    for path in place.glob("*.py") if place.is_dir() else [place]:
        tops = {module.partition(".")[0] for level, module in imports_of(path) if level == 0}
        forbidden = tops & {"time", "random", "secrets", "uuid", "os", "io", "logging", "socket", "tempfile"}
        assert not forbidden, path.name
        text = path.read_text(encoding="utf-8")
        for word in ("datetime.now", "utcnow", "open(", "print("):
            assert word not in text, f"{path.name} uses {word}"


def test_integrations_and_sdk_fallback_are_not_imported_by_the_function() -> None:
    for path in MODULES:
        assert not {name for _, name in imports_of(path)} & {"integrations", "sdk_fallback"}


def test_integrations_import_nothing_of_ours_but_their_own_folder() -> None:
    """They speak HTTP to the function, so that each can be taken away and used alone."""
    modules = sorted((ROOT / "integrations").rglob("*.py"))
    assert modules
    for path in modules:
        home = ".".join(path.relative_to(ROOT).parts[:2])
        for level, name in imports_of(path):
            assert level <= 1, path
            ours = name.partition(".")[0] in {"function", "main", "scripts", "tests", "integrations", "sdk_fallback"}
            # A program that Streamlit runs is no module of a package, so it names its folder in full; and the form
            # reads histories as the import at the terminal does.
            allowed = (f"{home}.", *(["integrations.history."] if home == "integrations.web_form" else []))
            assert level == 1 or not ours or name.startswith(allowed), path
