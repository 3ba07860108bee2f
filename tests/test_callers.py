"""The files that users copy into other programs are sound.

In tests/e2e the real programs run these files. These tests find in milliseconds what can be found without them.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from weighbridge.reading.dialects import VOCABULARY, Quantity, Role, is_missing, normal

INTEGRATIONS = Path(__file__).parent.parent / "integrations"
HOME_ASSISTANT = INTEGRATIONS / "home_assistant"
NODE_RED = INTEGRATIONS / "node_red"
PACKAGE = HOME_ASSISTANT / "weighbridge.yaml"
BLUEPRINT = HOME_ASSISTANT / "blueprints" / "automation" / "weighbridge" / "sensors.yaml"


class Tagged(str):
    """`!secret name` and similar tags, which only Home Assistant resolves."""

    __slots__ = ()


class Loader(yaml.SafeLoader):
    """YAML as Home Assistant reads it, with its own tags and without duplicate keys."""


def _tagged(loader: Loader, node: yaml.ScalarNode) -> Tagged:
    return Tagged(f"{node.tag} {loader.construct_scalar(node)}")


def _mapping(loader: Loader, node: yaml.MappingNode) -> dict[object, object]:
    loader.flatten_mapping(node)
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = {key for key in keys if keys.count(key) > 1}
    assert not twice, f"line {node.start_mark.line + 1}: duplicate key {twice}"
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


for tag in ("!secret", "!input", "!include_dir_named"):
    Loader.add_constructor(tag, _tagged)
Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)  # a SafeLoader with more tags


def walk(value: object) -> list[object]:
    """Every key and every scalar, however deep."""
    if isinstance(value, dict):
        return [found for pair in value.items() for part in pair for found in walk(part)]
    if isinstance(value, list):
        return [found for part in value for found in walk(part)]
    return [value]


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def entities(package: dict[str, Any]) -> set[str]:
    """The entities that Home Assistant creates from the package."""
    found = {f"{domain}.{key}" for domain in ("input_number", "input_button", "script") for key in package[domain]}
    found |= {f"automation.{slug(automation['alias'])}" for automation in package["automation"]}
    for section in [*package["template"], *package["rest"]]:
        for domain in ("sensor", "binary_sensor"):
            found |= {f"{domain}.{slug(item['name'])}" for item in section.get(domain, [])}
    return found


#: An entity of Weighbridge, in a list, a template or a card.
MENTIONED = re.compile(
    r"\b(?:sensor|binary_sensor|event|input_number|input_button|script|automation)\.weighbridge_[a-z_]+\b"
)
#: An example to copy from a page.
FENCE = re.compile(r"^ *```(yaml|json)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def test_mentioned_entities_exist() -> None:
    """Every entity that the package, the blueprint or the page mentions is created by the package."""
    made = entities(load(PACKAGE))
    for path in (PACKAGE, BLUEPRINT, HOME_ASSISTANT / "README.md"):
        mentioned = {entity for entity in MENTIONED.findall(path.read_text()) if not entity.endswith("_")}
        assert mentioned <= made, f"{path.name} mentions {mentioned - made}"


def test_form_shows_every_value_of_the_package() -> None:
    """The form of the page shows each field that the package creates, and its button."""
    found = re.search(
        r"<!-- example: form -->\n```yaml\n(.*?)```", (HOME_ASSISTANT / "README.md").read_text(), re.DOTALL
    )
    assert found
    package = load(PACKAGE)
    fields = [f"{domain}.{key}" for domain in ("input_number", "input_button") for key in package[domain]]
    assert yaml.safe_load(found[1])["entities"] == fields


def test_package_is_short_and_modern() -> None:
    """The package has at most 250 lines, and uses the keys that Home Assistant's own editor writes."""
    assert len(PACKAGE.read_text().splitlines()) <= 250
    old = {"service", "platform", "trigger", "condition", "action"}
    for automation in [*load(PACKAGE)["automation"], load(BLUEPRINT)]:
        assert not old & set(automation)
    assert not re.search(r"^ *(- )?(service|platform):", PACKAGE.read_text() + BLUEPRINT.read_text(), re.MULTILINE)


@pytest.mark.fault(13, 14)
def test_package_needs_no_broker() -> None:
    """The package runs without a broker, and leaves no retained topic behind when its file is deleted."""
    assert not [word for word in walk(load(PACKAGE)) if "mqtt" in str(word).lower()]


def test_examples_match_their_fences() -> None:
    """Every example of a page is valid JSON or YAML, as its fence says."""
    for page in INTEGRATIONS.glob("*/README.md"):
        for kind, text in FENCE.findall(page.read_text()):
            example = textwrap.dedent(text)
            json.loads(example) if kind == "json" else yaml.load(example, Loader)


def test_secrets_to_copy_are_those_used() -> None:
    """The lines of secrets.yaml are exactly the secrets that the package uses."""
    used = {value.removeprefix("!secret ") for value in walk(load(PACKAGE)) if isinstance(value, Tagged)}
    assert used == set(load(HOME_ASSISTANT / "secrets.yaml"))


@pytest.mark.parametrize("path", sorted(BLUEPRINT.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_blueprint_uses_each_of_its_inputs(path: Path) -> None:
    """A blueprint uses each of its inputs, and no other."""
    blueprint = load(path)
    used = {value.removeprefix("!input ") for value in walk(blueprint) if isinstance(value, Tagged)}
    assert used == set(blueprint["blueprint"]["input"])


def test_automations_and_helpers_have_own_names() -> None:
    """Automations have unique ids. These, the scripts and the commands begin with `weighbridge_`."""
    package = load(PACKAGE)
    ids = [automation["id"] for automation in package["automation"]]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("weighbridge_") for name in [*ids, *package["script"], *package["rest_command"]])


#: A string in Jinja or JavaScript.
QUOTED = re.compile(r"""(["'`])(.*?)\1""")


def code_that_handles_readings() -> dict[str, str]:
    """Place -> code, for each template and function. The rest (a form's keys, a card) may name values."""
    sources = [load(PACKAGE)[section] for section in ("script", "automation", "template")] + [load(BLUEPRINT)]
    templates = {
        value for source in sources for value in walk(source) if isinstance(value, str) and re.search("{{|{%", value)
    }
    functions = {node["name"]: node["func"] for node in flow() if node["type"] == "function"}
    assert len(templates) > 30
    assert len(functions) == 4
    return {template: template for template in templates} | functions


def variables(value: object) -> list[object]:
    """Every word below `variables:` that is not a template."""
    if isinstance(value, list):
        return [found for part in value for found in variables(part)]
    if not isinstance(value, dict):
        return []
    held = walk(value.get("variables", {}))
    return [item for item in held if "{" not in str(item)] + variables(list(value.values()))


def test_callers_know_no_words_of_the_function() -> None:
    """No caller knows the names of times and weights, how "not measured" is written, or a kind of problem."""
    for place, code in code_that_handles_readings().items():
        words = [text.strip() for _, text in QUOTED.findall(code) if text.strip()]
        roles = {word: VOCABULARY.get(normal(word)) for word in words}
        assert not [word for word, role in roles.items() if role in (Role.TIME, Role.RECEIPT)], place
        # One name is not a list: the blueprint names its first sensor.
        assert sum(isinstance(role, Quantity) and role.name == "weight_kg" for role in roles.values()) < 2, place
        assert not [word for word in words if is_missing(word)], place
        assert not re.search(r"urn:weighbridge:[a-z]", code), place
    words = [str(word) for path in (PACKAGE, BLUEPRINT) for word in variables(load(path))]
    assert not [word for word in words if is_missing(word)]
    # The blueprint gives one of its sensors the name `measured_at`.
    assert [word for word in words if VOCABULARY.get(normal(word)) is Role.TIME] == ["measured_at"]


def test_callers_have_no_table_of_http_statuses() -> None:
    """`final`, `again` and `blame` say what an answer means for the reading. The webhook has its own statuses."""
    for place, code in code_that_handles_readings().items():
        allowed = {"a reading, and when it came": {"400", "401", "403"}, "verdict": {"202"}}.get(place, set())
        assert set(re.findall(r"(?<![\w.])[2-5]\d\d(?![\w.])", code)) <= allowed, place


def flow() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads((NODE_RED / "flow.json").read_text())
    return nodes


def test_wires_of_the_flow_reach_every_node() -> None:
    """Every wire of the flow ends at a node, and every node is reached."""
    nodes = {node["id"]: node for node in flow()}
    ends = {end for node in nodes.values() for output in node.get("wires", []) for end in output}
    assert ends <= set(nodes)
    starts = {"tab", "mqtt-broker", "mqtt in", "http in", "inject"}
    assert {node["type"] for id_, node in nodes.items() if id_ not in ends} == starts
    assert all(len(node["wires"]) == node["outputs"] for node in nodes.values() if node["type"] == "function")


def test_flow_settings_are_named_by_its_page() -> None:
    """The flow's settings come from the environment, and its page names each."""
    text = (NODE_RED / "flow.json").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)\}", text)) | set(re.findall(r'env\.get\(\\"(\w+)\\"\)', text))
    page = (NODE_RED / "README.md").read_text()
    assert used == set(re.findall(r"^ *\| `([A-Z_]+)` \|", page, re.MULTILINE))


def test_flow_page_explains_each_branch() -> None:
    """The page of the flow explains each of its branches."""
    branches = {node["name"] for node in flow() if node["type"] == "debug"}
    page = (NODE_RED / "README.md").read_text()
    table = page.partition("| branch | means |\n|---|---|\n")[2].partition("\n\n")[0]
    assert {line.split("|")[1].strip() for line in table.splitlines()} == branches


@pytest.mark.parametrize(
    "page", [HOME_ASSISTANT / "README.md", NODE_RED / "README.md"], ids=["Home Assistant", "Node-RED"]
)
def test_pictures_and_files_of_a_page_exist(page: Path) -> None:
    """Every picture and file that a page names exists."""
    named = [target for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in target]
    assert named
    for target in named:
        assert (page.parent / target).exists(), target


def test_files_have_no_tabs_or_trailing_spaces() -> None:
    """No line has a tab, a trailing space or more than 120 characters."""
    for path in (PACKAGE, BLUEPRINT, HOME_ASSISTANT / "secrets.yaml"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert "\t" not in line, f"{path.name}:{number}"
            assert line == line.rstrip(), f"{path.name}:{number}"
            assert len(line) <= 120, f"{path.name}:{number}"


@pytest.mark.parametrize(
    ("content", "counts"),
    [
        ({"again": "never"}, False),
        ({"type": "urn:weighbridge:unauthorized", "again": "after_repair"}, True),
        ({"results": []}, True),
        ({"status": "confirmed", "warnings": []}, True),
        ("<html>", False),
    ],
)
def test_home_assistant_ignores_other_programs(content: object, counts: bool) -> None:
    """Home Assistant's package takes nothing from another program, even in words that the function uses."""
    found = re.search(r"^ +said: >-\n( +\{% set content.*?)^ +# ", PACKAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    environment = jinja2.Environment(autoescape=True, extensions=[])
    environment.tests["match"] = lambda value, pattern: re.match(pattern, value) is not None  # as Home Assistant does
    said = environment.from_string(found[1].replace("from_json", "string"))
    shown = said.render(answer={"content": content, "status": 404})
    assert ("Something else answered" in shown) is not counts


def home_assistant_template(name: str) -> jinja2.Template:
    """The template of a variable of the package."""
    found = re.search(rf"^( +){name}: >-\n((?:\1  .*\n)+)", PACKAGE.read_text(), re.MULTILINE)
    assert found
    return jinja2.Environment(autoescape=False, extensions=[]).from_string(textwrap.dedent(found[2]))


def test_home_assistant_says_each_warning_once() -> None:
    """The message of a receipt has every warning once, even one that its summary holds already."""
    warnings = [{"text": "8.14 kg: is that right?"}, {"text": "Garmin Connect does not show bmi."}]
    receipt = {"summary": "8.14 kg: confirmed. 8.14 kg: is that right?", "warnings": warnings}
    shown = home_assistant_template("message").render(result=receipt)
    assert shown.strip() == "8.14 kg: confirmed. 8.14 kg: is that right? Garmin Connect does not show bmi."


DONE = {"status": "confirmed", "final": True, "summary": "One.", "notes": [], "warnings": []}
LATER = DONE | {"status": "accepted", "final": False, "summary": "Two."}
REFUSED = {"type": "urn:weighbridge:conflict", "again": "never", "title": "Three", "detail": "Four."}


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (DONE, DONE),
        ({"results": [DONE, DONE]}, DONE | {"summary": "One. One."}),
        ({"results": [DONE, LATER, REFUSED]}, LATER | {"summary": "One. Two."}),
        ({"results": [DONE, REFUSED]}, REFUSED),
        ({"results": [DONE | {"status": "nothing"}]}, DONE | {"status": "nothing"}),
    ],
)
def test_home_assistant_waits_for_all_of_a_message(said: object, shown: object) -> None:
    """A message that holds several weigh-ins is done when each of them is."""
    rendered = home_assistant_template("result").render(said=said)
    assert ast.literal_eval(rendered.strip()) == shown
