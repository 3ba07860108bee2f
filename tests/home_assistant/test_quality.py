"""What hassfest and HACS ask of the integration, as far as it can be checked without them, and the quality scale.

Facts: hassfest is not in a package; it runs in a public workflow (.github/workflows/home-assistant.yml). The list of
rules is that of November 2026.
"""

from __future__ import annotations

import ast
import json
import re
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import selector

from weighbridge import __version__

ROOT = Path(__file__).parents[2]
INTEGRATION = ROOT / "custom_components" / "weighbridge"
LANGUAGES = ("en", "de", "pt")

RULES = [
    "action-setup", "appropriate-polling", "brands", "common-modules", "config-flow", "config-flow-test-coverage",
    "dependency-transparency", "docs-actions", "docs-conditions", "docs-high-level-description",
    "docs-installation-instructions", "docs-removal-instructions", "docs-triggers", "entity-event-setup",
    "entity-unique-id", "has-entity-name", "runtime-data", "test-before-configure", "test-before-setup",
    "unique-config-entry", "action-exceptions", "config-entry-unloading", "docs-configuration-parameters",
    "docs-installation-parameters", "entity-unavailable", "integration-owner", "log-when-unavailable",
    "parallel-updates", "reauthentication-flow", "test-coverage", "devices", "diagnostics", "discovery",
    "discovery-update-info", "docs-data-update", "docs-examples", "docs-known-limitations", "docs-supported-devices",
    "docs-supported-functions", "docs-troubleshooting", "docs-use-cases", "dynamic-devices", "entity-category",
    "entity-device-class", "entity-disabled-by-default", "entity-translations", "exception-translations",
    "icon-translations", "reconfiguration-flow", "repair-issues", "stale-devices", "async-dependency",
    "inject-websession", "strict-typing",
]  # fmt: skip

#: Keys of a manifest, as hassfest knows them.
MANIFEST_KEYS = {
    "domain", "name", "after_dependencies", "bluetooth", "codeowners", "config_flow", "dependencies", "dhcp",
    "documentation", "homekit", "import_executor", "integration_type", "iot_class", "issue_tracker", "loggers", "mqtt",
    "quality_scale", "requirements", "single_config_entry", "ssdp", "usb", "version", "zeroconf",
}  # fmt: skip
#: Sections of a translation, as hassfest knows them.
SECTIONS = {
    "title", "common", "conditions", "config", "config_subentries", "device", "entity", "exceptions", "issues",
    "options", "selector", "services", "system_health", "triggers",
}  # fmt: skip
#: Not a key of the translations, but of where they are kept.
PLACEHOLDER = re.compile(r"{(\w+)}")
#: A link to a named host. Addresses with numbers are examples.
LINK = re.compile(r"(?:https?|ftp|mqtts?)://(?:[\w-]+\.)+[a-z]{2,}\b", re.IGNORECASE)


@cache
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INTEGRATION / "manifest.json").read_text())
    return found


@cache
def translation(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INTEGRATION / "translations" / f"{language}.json").read_text())
    return found


def texts(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from texts(value, (*path, key))
        else:
            yield (*path, key), value


def read_yaml(name: str) -> dict[str, Any]:
    path = INTEGRATION / name
    return yaml.safe_load(path.read_text()) if path.exists() else {}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in INTEGRATION.rglob("*.py"):
        yield path, ast.parse(path.read_text())


def words(tree: ast.AST, call: str, name: str) -> Iterator[str]:
    """The texts that are given as this argument of calls of this function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == call:
            for keyword in node.keywords:
                if keyword.arg == name:
                    yield from constants(keyword.value)


def constants(node: ast.AST) -> Iterator[str]:
    """The texts that an expression may have."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


# -- the manifest ------------------------------------------------------------------------------------------


def test_manifest() -> None:
    """The manifest has the keys that hassfest and HACS ask for, in their order, and the version of the function."""
    keys = list(manifest())
    assert keys == ["domain", "name", *sorted(set(keys) - {"domain", "name"})]
    assert set(keys) <= MANIFEST_KEYS
    assert {"documentation", "issue_tracker", "codeowners", "version", "iot_class"} <= set(keys)
    assert manifest()["domain"] == INTEGRATION.name
    assert manifest()["version"] == __version__
    assert manifest()["integration_type"] == "hub"
    assert all(owner.startswith("@") for owner in manifest()["codeowners"])
    assert all(manifest()[key].startswith("https://") for key in ("documentation", "issue_tracker"))


def test_after_dependencies() -> None:
    """An integration of Home Assistant that is imported is named, so that it is set up before."""
    named = {*manifest()["dependencies"], *manifest()["after_dependencies"], "weighbridge"}
    imported = set()
    for _path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("homeassistant.components"):
                parts = (node.module or "").split(".")
                imported |= {parts[2]} if len(parts) > 2 else {alias.name for alias in node.names}
    # Platforms, and what is always there.
    assert imported - named <= {"binary_sensor", "diagnostics", "event", "repairs", "sensor"}


def test_hacs() -> None:
    """hacs.json has the keys that HACS knows, and the repository has one integration with an icon."""
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert set(hacs) <= {"name", "homeassistant", "hide_default_branch", "zip_release", "filename", "country"}
    assert [path.name for path in (ROOT / "custom_components").iterdir() if path.is_dir() and path.name[0] != "_"] == [
        "weighbridge"
    ]


@pytest.mark.parametrize(("name", "side"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_icon(name: str, side: int) -> None:
    """The icons are PNG files of the sizes that Home Assistant shows."""
    head = (INTEGRATION / "brand" / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (side, side)


# -- the translations --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_translation(language: str) -> None:
    """Each language has the keys and placeholders of English. No text has HTML or a link, or is empty."""
    english, found = dict(texts(translation("en"))), dict(texts(translation(language)))
    assert found.keys() == english.keys()
    for path, text in found.items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(english[path])), path
        assert isinstance(text, str), path
        assert text.strip(), path
        assert text == text.strip(), path
        assert not re.search(r"<[a-zA-Z/]", text), path
        assert not LINK.search(text), path
        assert not re.search(r"'{\w+}'", text), path


def test_translation_keys() -> None:
    """The sections are those of Home Assistant, and each key is a slug, as hassfest wants them."""
    assert set(translation("en")) <= SECTIONS
    for path, _text in texts(translation("en")):
        for key in path:
            assert re.fullmatch(r"[a-z0-9_-]+", key), path
            assert not key.startswith(("_", "-")), path
            assert not key.endswith(("_", "-")), path
    for domain in translation("en")["entity"].values():
        for key in domain:
            cv.slug(key)


def test_flow_words() -> None:
    """Each step, error and reason of the flows has its text, and none is left over."""
    tree = {path.name: module for path, module in modules()}
    for section, files in (
        (translation("en")["config"], ("config_flow.py", "sign_in_flow.py", "embedded_flow.py")),
        (translation("en")["config_subentries"]["person"], ("person_flow.py",)),
    ):
        written = {node.value for name in files for node in ast.walk(tree[name]) if is_text(node)}
        # A reason may come from where it is raised.
        written |= {node.value for node in ast.walk(tree["embedded.py"]) if is_text(node)}
        for part in ("error", "abort"):
            assert set(section.get(part, {})) - written <= LIBRARY, part
        steps = {word for name in files for word in words(tree[name], "async_show_form", "step_id")}
        steps |= {word for name in files for word in words(tree[name], "async_show_menu", "step_id")}
        reasons = {word for name in files for word in words(tree[name], "async_abort", "reason")}
        assert steps <= set(section["step"])
        assert reasons <= set(section["abort"])


#: Reasons that Home Assistant itself gives.
LIBRARY = {"already_configured", "already_in_progress", "reauth_successful", "reconfigure_successful"}


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_exceptions() -> None:
    """Each exception that is shown has a text, and each text an exception."""
    known, used = set(translation("en")["exceptions"]), set()
    every_text = set()
    for _path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and {"translation_domain", "translation_key"} <= {
                k.arg for k in node.keywords
            }:
                used |= {word for k in node.keywords if k.arg == "translation_key" for word in constants(k.value)}
        every_text |= {node.value for node in ast.walk(tree) if is_text(node)}
    issues = set(translation("en")["issues"])
    assert used <= known | issues
    assert known <= every_text
    assert issues <= every_text


SHOWN = {"HomeAssistantError", "ServiceValidationError", "UpdateFailed", *(f"ConfigEntry{end}" for end in (
    "NotReady", "Error", "AuthFailed",
))}  # fmt: skip


def test_raised() -> None:
    """What Home Assistant shows is always a text that is translated."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func).rpartition(".")[2]
                if name in SHOWN:
                    given = {keyword.arg for keyword in node.exc.keywords}
                    assert {"translation_domain", "translation_key"} <= given, f"{path.name}:{node.lineno}"


# -- actions, triggers, conditions, icons ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["services", "triggers", "conditions"])
def test_described(kind: str) -> None:
    """Each action, trigger and condition, and each of its fields, has a text and an icon."""
    described, shown = read_yaml(f"{kind}.yaml"), translation("en").get(kind, {})
    icons = json.loads((INTEGRATION / "icons.json").read_text()).get(kind, {})
    assert set(described) == set(shown) == set(icons)
    for name, description in described.items():
        fields: set[str] = set()
        sections = set()
        for field, options in ((description or {}).get("fields") or {}).items():
            if "fields" in (options or {}):
                sections.add(field)
                fields |= set(options["fields"])
            else:
                fields.add(field)
        assert fields == set(shown[name].get("fields", {})), name
        assert sections == set(shown[name].get("sections", {})), name
        assert all(set(field) == {"name", "description"} for field in shown[name].get("fields", {}).values()), name
        assert {"name", "description"} <= set(shown[name]), name


@pytest.mark.parametrize("kind", ["services", "triggers", "conditions"])
def test_selectors(kind: str) -> None:
    """Each field has one selector, with options that Home Assistant knows, and no other key than those of a field."""

    def check(fields: dict[str, Any]) -> None:
        for options in fields.values():
            if "fields" in options:
                check(options["fields"])
            else:
                assert set(options) <= {"example", "default", "required", "selector"}
                selector.validate_selector(options["selector"])

    for description in read_yaml(f"{kind}.yaml").values():
        check((description or {}).get("fields") or {})


def test_icons() -> None:
    """Each icon is one of Material Design, for an entity that has a name."""
    icons = json.loads((INTEGRATION / "icons.json").read_text())
    for path, icon in texts(icons):
        assert re.fullmatch(r"mdi:[a-z0-9]+(-[a-z0-9]+)*", icon), path
    for domain, entities in icons["entity"].items():
        assert set(entities) <= set(translation("en")["entity"][domain])


# -- the quality scale -------------------------------------------------------------------------------------


def test_quality_scale() -> None:
    """Every rule up to Platinum is done, or exempt with a reason."""
    rules = read_yaml("quality_scale.yaml")["rules"]
    assert sorted(rules) == sorted(RULES)
    for name, state in rules.items():
        if isinstance(state, dict):
            assert state["status"] == "exempt", name
            assert len(state["comment"]) > 40, name
        else:
            assert state == "done", name
    assert manifest()["quality_scale"] == "platinum"


def test_parallel_updates() -> None:
    """Each platform says how many of its entities may be updated at once."""
    for path, tree in modules():
        if any(isinstance(node, ast.AsyncFunctionDef) and node.name == "async_setup_entry" for node in tree.body):
            names = {
                ast.unparse(target) for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
            }
            assert path.name == "__init__.py" or "PARALLEL_UPDATES" in names, path.name


def test_typed() -> None:
    """The types are there to be used (PEP 561); tests/home_assistant/mypy.ini checks them strictly."""
    assert (INTEGRATION / "py.typed").exists()
    assert "strict = true" in (Path(__file__).parent / "mypy.ini").read_text()


def test_one_session() -> None:
    """No module opens a session of its own: the one of Home Assistant is given."""
    for path, tree in modules():
        assert not [node for node in ast.walk(tree) if is_session(node)], path.name


def is_session(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("ClientSession", "AsyncClient")


def test_documented() -> None:
    """The page says how it is removed, and names every action, trigger and condition."""
    page = (ROOT / "docs" / "home-assistant.md").read_text()
    assert re.search(r"^#+ .*[Rr]emov", page, re.MULTILINE)
    for name in (*read_yaml("services.yaml"), *read_yaml("triggers.yaml"), *read_yaml("conditions.yaml")):
        assert f"weighbridge.{name}" in page, name
