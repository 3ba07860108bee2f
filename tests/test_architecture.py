"""Who may import whom."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Set
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FUNCTION = ROOT / "function"
PACKAGE = FUNCTION / "weighbridge"
SDK_FALLBACK = ROOT / "sdk_fallback"

#: The modules and subpackages (rooms) of the package, from the bottom up. A room imports from itself and from the
#: layers below it, never from above and never from its own layer.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("weighbridge", "reasons"),
    ("errors", "notes", "commands", "private", "resources", "secret", "space", "idle_server"),
    ("machine_zone", "local_key", "state_file"),
    ("settings", "fit"),
    ("reading", "client", "broker"),
    ("delivery", "notify"),
    ("receipt", "accounts", "garmin"),
    ("pipeline", "afterwards"),
    ("compose",),
    ("login",),
    ("http",),
    ("operate",),
    ("cli",),
    ("__main__",),
)

#: Third-party library -> the only modules of the package that import it.
ALONE: dict[str, tuple[str, ...]] = {
    "pydantic": ("http.openapi",),
    "starlette": ("http",),
    "uvicorn": ("http", "idle_server"),
    # The demo reads its own file, as anyone could.
    "fitdecode": ("fit.verify", "operate.demo"),
    "garth": ("garmin.sessions.garth",),
    "garminconnect": ("garmin.sessions.garminconnect",),
    "playwright": ("garmin.sessions.browser_process",),
    "google": ("garmin.secret_manager", "http.push"),
    "psycopg": ("garmin.postgres_tokens",),
    "click": ("operate", "cli"),
    "dotenv": ("operate",),
    "httpx": ("client",),
    "apprise": ("notify.courier",),
    "zeroconf": ("operate.announce",),
}

#: Pure: bytes and values in, bytes and values out.
CORE = (
    *("reasons", "errors", "notes", "commands", "reading", "fit", "receipt", "pipeline", "accounts", "notify.events"),
    *("http.body", "delivery.port", "delivery.chain", "garmin.answers", "garmin.entries"),
)

#: What a caller may import from the package. It uses HTTP, so this is how to call, and the words of the answers.
FOR_CALLERS = (
    "weighbridge.broker",
    "weighbridge.client",
    "weighbridge.errors",
    "weighbridge.reasons",
    "weighbridge.secret",
    "weighbridge.fit.encode",  # two messages are compared by their raw integers
    "weighbridge.notes",
    "weighbridge.notify",
    "weighbridge.private",
    "weighbridge.reading.bodies",  # the weigh-ins in a message
    "weighbridge.reading.characters",  # digits and spaces of times
    "weighbridge.reading.dialects",
    "weighbridge.reading.interpret",  # whether the same message twice is one reading, and what it says
    "weighbridge.reading.keys",  # what the header of a column means
    "weighbridge.reading.languages",  # the language of a header
    "weighbridge.reading.measures",
    "weighbridge.reading.quantities",  # the units of headers and options
    "weighbridge.reading.steering",  # whether an unknown header may be left out
    "weighbridge.reading.weighing",  # whether two messages are one weigh-in
    "weighbridge.settings",
)
#: What the module of a caller's command may import too: it is part of the command line.
FOR_COMMANDS = ("weighbridge.commands", "weighbridge.idle_server", "weighbridge.operate")
#: The page reads histories as the import at the terminal does.
NEIGHBORS = {"weighbridge_form": ("weighbridge_history",)}


def modules_of(folder: Path) -> dict[str, Path]:
    """Module -> its file, for a package in this folder."""
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(folder.rglob("*.py"))
    }


def imports_of(module: str, path: Path) -> Iterator[str]:
    """What a module imports, at its top or inside functions: modules, or names in them, by their full names."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def graph_of(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Module -> the modules among these that it imports."""
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = set(imports_of(module, path))
        found[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & modules.keys()
        found[module].discard(module)
    return found


MODULES = modules_of(PACKAGE)
GRAPH = graph_of(MODULES)
CALLERS = {path.name: modules_of(path) for path in sorted((ROOT / "integrations").glob("*/weighbridge_*"))}


def room_of(module: str) -> str:
    """The module or subpackage directly in the package; `weighbridge` for the package's own `__init__`."""
    return module.partition(".")[2].partition(".")[0] or module


def outside(module: str, path: Path) -> set[str]:
    """The top-level packages that a module imports, without the standard library and the package itself."""
    return (
        {name.partition(".")[0] for name in imports_of(module, path)} - set(sys.stdlib_module_names) - {"weighbridge"}
    )


def is_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


# -- the package -----------------------------------------------------------------------------------------


def test_every_room_has_a_layer() -> None:
    """Each module and subpackage of the package is in a layer."""
    assert {room_of(module) for module in MODULES} <= {room for layer in LAYERS for room in layer}


@pytest.mark.parametrize("layer", range(len(LAYERS)), ids=lambda number: LAYERS[number][-1])
def test_imports_point_down(layer: int) -> None:
    """A room imports only from layers below it and from itself."""
    below = {room for rooms in LAYERS[:layer] for room in rooms}
    up = {
        f"{module} imports {imported}"
        for module, imports in GRAPH.items()
        for imported in imports
        if room_of(module) in LAYERS[layer] and room_of(imported) not in below | {room_of(module)}
    }
    assert not up


def test_no_circular_imports() -> None:
    """No modules import each other in a circle, even within a room. `graphlib.CycleError` would name it."""
    assert set(TopologicalSorter(GRAPH).static_order()) == MODULES.keys()


def test_no_room_is_too_large() -> None:
    """No room holds more than a third of the package's lines."""
    lines: dict[str, int] = {}
    for module, path in MODULES.items():
        lines[room_of(module)] = lines.get(room_of(module), 0) + len(path.read_text(encoding="utf-8").splitlines())
    assert {room for room, count in lines.items() if 3 * count > sum(lines.values())} == set()


@pytest.mark.parametrize("library", ALONE)
def test_each_library_has_one_user(library: str) -> None:
    """Each third-party library in `ALONE` is imported only where it is listed."""
    users = {
        module.removeprefix("weighbridge.") for module, path in MODULES.items() if library in outside(module, path)
    }
    assert {user for user in users if not is_in(user, ALONE[library])} == set()


def test_function_does_not_import_callers() -> None:
    """The package imports no caller, script or test: `cli` finds the callers' commands by name, when needed."""
    theirs = {"integrations", "scripts", "tests", "sdk_fallback", *CALLERS}
    assert {module: found for module, path in MODULES.items() if (found := outside(module, path) & theirs)} == {}


def test_fit_needs_two_libraries() -> None:
    """`fit` needs only the standard library, fastcrc and fitdecode."""
    found = {module: outside(module, path) for module, path in MODULES.items() if room_of(module) == "fit"}
    assert set().union(*found.values()) == {"fastcrc", "fitdecode"}


def test_target_imports_only_the_shell() -> None:
    """`main.py` is the only file next to the package, and it imports only `weighbridge.http`."""
    target = FUNCTION / "main.py"
    ours = {name for name in imports_of("main", target) if name.startswith("weighbridge")}
    assert {name.partition(".app")[0] for name in ours} == {"weighbridge.http"}
    assert [path.name for path in FUNCTION.glob("*.py")] == ["main.py"]


# -- the core --------------------------------------------------------------------------------------------


IMPURE = {"time", "random", "secrets", "uuid", "os", "io", "logging", "socket", "tempfile", "subprocess", "threading"}


@pytest.mark.parametrize("place", CORE)
def test_core_is_pure(place: str) -> None:
    """The core has no clock, no randomness, no environment and no IO."""
    found = {module: path for module, path in MODULES.items() if is_in(module, (f"weighbridge.{place}",))}
    assert found
    for module, path in found.items():
        tops = {name.partition(".")[0] for name in imports_of(module, path)}
        forbidden = tops & {
            "time",
            "random",
            "secrets",
            "uuid",
            "os",
            "io",
            "logging",
            "socket",
            "tempfile",
            "subprocess",
        }
        assert not forbidden, module
        text = path.read_text(encoding="utf-8")
        for word in ("datetime.now", "utcnow", "open(", "print(", "read_text(", "read_bytes("):
            # fitdecode has a private method of such a name, on bytes in memory.
            assert word not in text.replace("_read_bytes(", ""), f"{module} uses {word}"


def test_only_programs_read_the_environment() -> None:
    """Only programs read `os.environ`; `settings` gets a mapping. `weighbridge/__init__` sets one variable."""
    places = ("weighbridge.operate", "weighbridge.cli", "weighbridge.http.server", "weighbridge.garmin.sessions")
    places += ("weighbridge.notify.send",)
    users = {module for module, path in MODULES.items() if "os.environ" in path.read_text(encoding="utf-8")}
    assert {user for user in users if not is_in(user, places)} == {"weighbridge"}


# -- around the package ----------------------------------------------------------------------------------


@pytest.mark.parametrize("caller", CALLERS)
def test_callers_import_only_the_client_side(caller: str) -> None:
    """A caller imports from the package only how to call it and the words of its answers."""
    for module, path in CALLERS[caller].items():
        allowed = (*FOR_CALLERS, *NEIGHBORS.get(caller, ()), caller)
        if module == f"{caller}.cli":
            allowed += FOR_COMMANDS
        ours = {name for name in imports_of(module, path) if is_ours(name)}
        assert {name for name in ours if not is_in(name, allowed)} == set(), module


@pytest.mark.parametrize("caller", CALLERS)
def test_no_circular_imports_in_a_caller(caller: str) -> None:
    """No modules of a caller import each other in a circle."""
    assert set(TopologicalSorter(graph_of(CALLERS[caller])).static_order()) == CALLERS[caller].keys()


def test_sdk_fallback_imports_only_the_package() -> None:
    """`sdk_fallback` imports only the package, and has no circular imports."""
    modules = modules_of(SDK_FALLBACK)
    for module, path in modules.items():
        ours = {name.partition(".")[0] for name in imports_of(module, path) if is_ours(name)}
        assert ours <= {"weighbridge", "sdk_fallback"}, module
    assert set(TopologicalSorter(graph_of(modules)).static_order()) == modules.keys()


def is_ours(name: str) -> bool:
    top = name.partition(".")[0]
    return top in {"weighbridge", "sdk_fallback", "integrations", "scripts", "tests", "main"} or top in CALLERS


def test_wheel_has_only_our_top_level_names() -> None:
    """The wheel installs no top-level name that another project could use."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    names = {Path(package).name for package in wheel["packages"]}
    names |= {Path(place).parts[0] for place in wheel.get("force-include", {}).values()}
    names |= {Path(place).parts[0] for place in wheel.get("sources", {}).values()}
    assert outsiders(names) == set()


def outsiders(names: Set[str]) -> set[str]:
    return {name for name in names if not name.startswith("weighbridge") and name != "sdk_fallback"}
