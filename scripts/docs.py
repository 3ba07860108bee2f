"""The generated parts of the documents: tables and outputs. cogapp calls it; make fix writes, make check compares.

Strategy: a document names a function of this module in a comment (`[[[cog docs.fields() ]]]`). The text that the
function prints follows that comment. A table is written each time. An output takes a run and differs each time (the
time of arrival), so it stays as it is: `OUTPUTS=new make fix` runs the programs again, and tests/test_docs.py compares.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scripts import reckon
from scripts.licenses import FOR_MAINTAINERS, FOR_USERS, identifiers, locked, read_record
from weighbridge.errors import WeighbridgeError
from weighbridge.fit.patch import READINGS_PER_FILE as MOST_IN_A_FILE
from weighbridge.http.app import DELIVERIES_WAITING
from weighbridge.http.body import LARGEST_BODY_BYTES, MEDIA_TYPES
from weighbridge.http.body import READINGS_PER_CALL as MOST_IN_A_CALL
from weighbridge.http.problems import FAULTS
from weighbridge.http.receive import LONGEST_BODY_S, LONGEST_PAUSE_S
from weighbridge.http.routes import HTTP_STATUS
from weighbridge.http.server import (
    LONGEST_HEAD_BYTES,
    LONGEST_HEAD_S,
    LONGEST_IDLE_S,
    LONGEST_LINE_BYTES,
    MOST_AHEAD,
    MOST_CONNECTIONS,
)
from weighbridge.notes import Code
from weighbridge.operate.demo import embedded, post
from weighbridge.operate.serving import function_process
from weighbridge.reading.bodies import SHAPES
from weighbridge.reading.dialects import DIALECTS, Share, Unused
from weighbridge.reading.identities import LEAN_SOFT_TISSUE, RULES, Outcome, Rule, share_rule
from weighbridge.reading.languages import LANGUAGES
from weighbridge.reading.measures import MEASURES
from weighbridge.reading.steering import COULD_SAY, EXCEPTED, PATTERNS, Question
from weighbridge.reasons import Sentences, Why
from weighbridge.receipt import DEVELOPER_FIELDS, NATIVE, NOT_STORED, WORDS
from weighbridge.resources import EXAMPLE, TEMPLATES

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/weighbridge/weighbridge"

# -- tables ------------------------------------------------------------------------------------------------


def scale(what: str) -> None:
    """One of the tables of docs/scale.md."""
    parts = (reckon.measured, reckon.assumed, reckon.reckoning, reckon.commands)
    cog().outl({part.__name__: part for part in parts}[what]())


#: A field's name in Garmin Connect, and what to know about it.
SHOWN = {
    "weight": "Weight",
    "percent_fat": "Body Fat",
    "percent_hydration": "Body Water",
    "bone_mass": "Bone Mass",
    "muscle_mass": "Skeletal Muscle Mass (Garmin's name, even if your app means all lean soft tissue)",
    "visceral_fat_rating": "Visceral Fat, a rating from 1 to 59",
    "visceral_fat_mass": "Visceral Fat Mass",
    "basal_met": "accepted by Garmin, but never returned",
    "active_met": "accepted by Garmin, but never returned",
    "metabolic_age": "Metabolic Age",
    "physique_rating": "Physique Rating",
    "bmi": "BMI; some values were reported hidden without it",
}


def fields() -> None:
    rows = []
    for name in MEASURES:
        label = _label(name)
        if name in NATIVE:
            rows.append((label, f"`{NATIVE[name].name}`", SHOWN[NATIVE[name].name]))
        else:
            developer = DEVELOPER_FIELDS.get(name)
            where = f"developer field `{developer.name}`, second template only" if developer else "–"
            rows.append((label, where, NOT_STORED[name]))
    _table(("your value", "in the FIT file", "Garmin Connect"), rows)


def settings(module: str) -> None:
    """The table of a module's `VARIABLES`."""
    rows = []
    for variable in import_module(module).VARIABLES:
        default = variable.default.replace(str(TEMPLATES), "templates")
        rows.append((f"`{variable.name}`", f"`{default}`" if default else "", variable.meaning))
    _table(("variable", "default", "meaning"), rows)


def dialects() -> None:
    """The keys of each dialect; below, the many that belong to none."""
    used = {
        dialect: _code(key for key, meaning in words.items() if not isinstance(meaning, Unused))
        for dialect, words in DIALECTS.items()
    }
    others, used["others"] = used["others"], "the list below"
    _table(
        ("from", "keys that are used"),
        [(dialect, keys or "the values of [whole bodies](#whole-bodies)") for dialect, keys in used.items()],
    )
    _collapsed("The keys of others", [others])


def languages() -> None:
    """Some words of each language; below, all of them."""
    shown = ("time", "weight", "body fat", "muscle mass", "bone mass")
    _table(
        ("language", *shown),
        [(language, *(_words_for(table, english)[0] for english in shown)) for language, table in LANGUAGES.items()],
    )
    _collapsed(
        "All words",
        [
            f"**{language}:** {'; '.join(f'{english}: {_code(_words_for(table, english))}' for english in table)}."
            for language, table in LANGUAGES.items()
        ],
    )


def _words_for(table: Mapping[str, str], english: str) -> list[str]:
    return [word.removesuffix("*") for word in table[english].split(", ")]


def ranges() -> None:
    """The range of each value, and what happens to one outside it."""
    rows = []
    for name, measure in MEASURES.items():
        outcome = Outcome.REFUSE if name == "weight_kg" else Outcome.LEAVE_OUT
        rows.append((_label(name), f"{measure.minimum:f} to {measure.maximum:f}", outcome.value))
    _table(("value", "range", "outside it"), rows)


def _label(name: str) -> str:
    measure = MEASURES[name]
    return f"{measure.label} ({measure.unit})" if measure.unit else measure.label


def steering() -> None:
    """The patterns of keys that could change the meaning of a reading; below, the words that only look like it."""
    rows = [
        (
            question.value,
            _code(PATTERNS[question].split()),
            COULD_SAY[question].sentence.partition(" known. ")[2].removesuffix(", or leave this key out."),
        )
        for question in Question
    ]
    _table(("a key could say", "its pattern", "what helps"), rows)
    _collapsed(
        "Words that match a pattern but do not count",
        [f"**{question.value.capitalize()}:** {_code(sorted(EXCEPTED[question].split()))}" for question in Question],
    )


def bodies() -> None:
    """The table of whole bodies, each with its example."""
    page = f"{REPOSITORY}/blob/main/examples"
    _table(
        ("from", "what it sends", "example"),
        [(shape.name, shape.what, f"[{shape.example}]({page}/{shape.example})") for shape in SHAPES],
    )


def media_types() -> None:
    _table(("`Content-Type`", "body"), [(f"`{kind}`", what) for kind, (what, _) in MEDIA_TYPES.items()])


def identities() -> None:
    """Every rule, and what happens to a reading that breaks it."""
    rows = [
        (rule.quantity, rule.relation.value, rule.way, _outcome(rule))
        for rule in (*RULES, LEAN_SOFT_TISSUE, *map(share_rule, SHARES))
    ]
    _table(("this", "is", "that", "if not"), rows)


#: The masses that an app also shows in % of the weight.
SHARES = sorted({share.mass for share in Share})


def _outcome(rule: Rule) -> str:
    if rule.outcome is Outcome.LEAVE_OUT:
        return f"left out: {' and '.join(_label(name) for name in rule.doubted)}"
    return str(rule.outcome.value)


#: The meaning of each status for the caller.
STATUSES = {
    "confirmed": "Garmin took the file, and Weighbridge read the weigh-in back.",
    "present": "Garmin already had exactly this weigh-in. Nothing was sent.",
    "accepted": "Garmin took the file but does not show it yet. Send the same reading again later.",
    "kept": "The proven file is in the folder, for import by hand or for `weighbridge kept deliver`.",
    "checked": "A dry run: the receipt shows what would be sent. Nothing was sent.",
    "taken_back": "The source deleted its weigh-in, so the one at this instant was deleted.",
    "nothing": "The message was about no weigh-in, such as a test. Nothing was done.",
}


def reasons() -> None:
    """The code of each reason, and its sentence."""
    _sentences("message", Why)


AGAIN = {"never": "never", "later": "later", "after_repair": "after a fix"}


def statuses() -> None:
    rows = [
        (f"`{status}`", str(HTTP_STATUS[status]), "no" if status == "accepted" else "yes", meaning)
        for status, meaning in STATUSES.items()
        if WORDS[status]
    ]
    _table(("`status`", "HTTP", "`final`", "meaning"), rows)


def blame() -> None:
    """The table of problems: who must act, and when the same request may be sent again."""
    rows = []
    for kind, fault in sorted(FAULTS.items(), key=lambda item: item[1].status):
        ours = kind if issubclass(kind, WeighbridgeError) else WeighbridgeError
        wait = f"after {fault.retry_after_s} s" if fault.retry_after_s else AGAIN[ours.again]
        again = f"`{ours.again}`" if not fault.retry_after_s else f"`{ours.again}`, {wait}"
        rows.append((str(fault.status), f"`{fault.slug}`", fault.title, f"`{ours.blame}`", again))
    _table(("HTTP", "type `urn:weighbridge:…`", "meaning", "`blame`", "`again`"), rows)


def codes() -> None:
    """The code of each note and warning, and its sentence."""
    _sentences("text", Code)


def _sentences(name: str, table: type[Sentences]) -> None:
    rows = [(f"`{each.code}`", _sentence(each)) for each in table]
    _table(("`code`", f"`{name}`"), rows)


def _sentence(of: Sentences) -> str:
    return re.sub(r"(?:![rs]|:\w+)}", "}", of.sentence).replace("{{", "{").replace("}}", "}")


def limits() -> None:
    rows = [
        ("body, after inflating", f"{LARGEST_BODY_BYTES >> 20} MiB (413)"),
        ("pause of the sender within a body", f"{LONGEST_PAUSE_S} s (408)"),
        ("duration of a body", f"{LONGEST_BODY_S} s (408)"),
        ("first line of a request, with its address", f"{LONGEST_LINE_BYTES >> 10} KiB (414)"),
        ("head of a request", f"{LONGEST_HEAD_BYTES >> 10} KiB (400), {LONGEST_HEAD_S:g} s (408)"),
        ("idle connection", f"closed after {LONGEST_IDLE_S} s"),
        (
            "open connections",
            f"{MOST_CONNECTIONS:,}; for the next one, the one that has been idle longest is closed. If each has a "
            "request, the next one is refused at once (503)",
        ),
        ("requests sent before the first answer", f"{MOST_AHEAD}; the next one is refused (503)"),
        (
            "deliveries that wait for their turn",
            f"{DELIVERIES_WAITING}; the next one is refused (503), and nothing is sent",
        ),
        ("readings in one call", f"{MOST_IN_A_CALL:,} (413)"),
        ("readings in one FIT file", f"{MOST_IN_A_FILE}"),
    ]
    _table(("limit", "value"), rows)


def notices() -> None:
    """The events of which a person is notified."""
    events = import_module("weighbridge.notify.events").EVENTS.values()
    _table(("when", "title of the notice", "sent by"), [(e.when, _title(e.title), e.by) for e in events])


def _title(template: str) -> str:
    """A title without the words that are filled in."""
    return template.format(days="… days", whose="", readings="…")


def licenses() -> None:
    """The packages under each license: those that users install, and those for maintainers alone."""
    packages, users = read_record().packages, locked(*FOR_USERS)
    rows = []
    for terms in sorted(set(packages.values())):
        names = [name for name in packages if packages[name] == terms]
        theirs, ours = [[name for name in names if (name in users) is wanted] for wanted in (True, False)]
        rows.append((f"`{terms}`", ", ".join(theirs), ", ".join(ours)))
    _table(("license", "to run Weighbridge", f"to maintain it (`{FOR_MAINTAINERS}`)"), rows)


def license_reasons() -> None:
    record = read_record()
    _table(
        ("package", "license", "why it is used"),
        [(name, f"`{record.packages[name]}`", why) for name, why in sorted(record.reasons.items())],
    )


def allowed_licenses() -> None:
    used = set[str]().union(*map(identifiers, read_record().packages.values()))
    cog().outl(f"Allowed: {_code(sorted(read_record().allowed & used))}.")


# -- what tests hold -----------------------------------------------------------------------------------------


def tested(*tests: str) -> None:
    """What each of these tests (`path::name`) claims, and where it is. One that does not exist stops `make fix`."""
    _table(("claim", "test"), [(_claim(test), _link(test)) for test in tests])


def figures() -> None:
    """Numbers, each read from the test that holds it."""
    chaos, relay, limits = (f"tests/e2e/test_{name}.py" for name in ("outbox_chaos", "relay", "limits"))
    bridge, files = "tests/e2e/test_bridge.py", "tests/e2e/test_history_limits.py"
    answers, hostile, damage = (f"tests/test_{name}.py" for name in ("bombs", "hostile_garmin", "damage"))
    bodies, template = "tests/e2e/test_hostile_bodies.py", "tests/test_template.py"
    # Before the packages: one of them brings a `tests` of its own.
    sys.path.insert(0, str(ROOT))
    module = import_module("tests.test_damage")
    damaged = 255 * len(module.patch(module.FILES["weight_scale"], module.ROWS))
    sizes = [len((module.TEMPLATES / f"{name}.fit").read_bytes()) for name in module.NAMES]
    flips = len(_constant(template, "FLIPS"))
    tried = dict(zip(("changed", "socket", "json", "bytes"), _constant(bodies, "SIZES"), strict=True))
    read, through, tokens = _constant(hostile, "SIZES")
    kills = sum(_constant(chaos, "KILLS").values())
    arrive = f"{chaos}::test_1000_readings_arrive_once_each"
    rows = [
        (f"{_constant(chaos, 'READINGS'):,} readings", "from the broker to Garmin: none lost, none doubled", arrive),
        (f"{kills} kills and restarts", "of five programs, during these readings", arrive),
        _stated("3,000 messages", f"{relay}::test_broker_keeps_all_that_it_acknowledged"),
        _stated("100 posts", f"{bridge}::test_100_posts_are_one_weigh_in"),
        _stated("1,100 silent connections", f"{limits}::test_silent_connections"),
        _stated("900 slow senders", f"{limits}::test_slow_senders_starve_nobody"),
        _stated("20,000 different requests", f"{limits}::test_memory_of_20_000_requests"),
        (
            f"{tried['changed']:,} changed bodies",
            "of real callers, in each form in which they come: receipts, or problems of the caller; no 5xx",
            f"{bodies}::test_changed_bodies",
        ),
        (f"{tried['socket']:,} more", "through the server and its socket", f"{bodies}::test_through_a_socket"),
        (
            f"{_constant(bodies, 'SIGN_INS'):,} changed bodies of a sign-in",
            "are refused, and nothing in them is ever repeated",
            f"{bodies}::test_sign_in",
        ),
        (
            f"{tried['json']:,} bodies of any JSON",
            "in each run, by Hypothesis: the same, and nothing private is in the log",
            f"{bodies}::test_any_json",
        ),
        (
            f"{tried['bytes']:,} bodies of any bytes",
            "in each run, by Hypothesis: the same",
            f"{bodies}::test_any_bytes",
        ),
        (
            f"{255 * sum(sizes):,} changed templates",
            "are refused: each byte of each one, changed to each other value",
            f"{template}::test_any_changed_byte",
        ),
        (
            f"{flips * (sum(sizes) - 2 * len(sizes)):,} changed templates with valid checksums",
            "are refused, or readings in them are proven",
            f"{template}::test_any_changed_byte_with_valid_checksums",
        ),
        (
            f"{2 * read:,} changed answers of Garmin",
            "to a look and to an upload are read, or are a fault of Garmin",
            f"{hostile}::test_lists",
        ),
        (
            f"{through:,} posts",
            "while Garmin answers anything: each ends with a receipt or a true fault, and all are one weigh-in",
            f"{hostile}::test_through_the_function",
        ),
        (f"{tokens:,} changed tokens", "never take the place of one that works", f"{hostile}::test_renewals"),
        (f"{damaged:,} damaged files", "are refused by the proof", f"{damage}::test_any_changed_byte"),
        (
            f"{_keys(files, 'BOMBS')} files made to take all memory or time",
            "are refused within the limits",
            f"{files}::test_bomb_is_refused_and_the_caller_lives",
        ),
        (
            f"{_keys(answers, 'BOMBS')} kinds of huge answers of Garmin",
            "are faults within 64 MiB, over each library",
            f"{answers}::test_bomb",
        ),
        (
            f"{_keys(relay, 'BROKEN')} kinds of broken messages",
            "are parked, and the next message is sent",
            f"{relay}::test_invalid_message_is_parked_as_text",
        ),
    ]
    _table(("figure", "what", "test"), [(figure, what, _link(test)) for figure, what, test in rows])


def _stated(figure: str, test: str) -> tuple[str, str, str]:
    """A figure with which the claim of a test begins, and the rest of that claim."""
    claim = _claim(test)
    if not claim.startswith(figure):
        raise LookupError(f"{test} does not begin with {figure!r}: {claim}")
    return figure, claim.removeprefix(figure).strip().rstrip("."), test


def _claim(test: str) -> str:
    return " ".join((ast.get_docstring(_test(test)) or "").split())


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[`{name}`]({REPOSITORY}/blob/main/{path})"


def _test(test: str) -> ast.FunctionDef:
    path, _, name = test.partition("::")
    for node in _parsed(path).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise LookupError(f"There is no test {test}")


def _assigned(path: str, name: str) -> ast.expr:
    for node in _parsed(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == name and isinstance(node, ast.Assign | ast.AnnAssign):
            return node.value or ast.Constant(None)
    raise LookupError(f"{path} has no {name}")


def _constant(path: str, name: str) -> Any:
    return ast.literal_eval(_assigned(path, name))


def _keys(path: str, name: str) -> int:
    """How many keys a dictionary has, whatever its values are."""
    value = _assigned(path, name)
    if isinstance(value, ast.Dict):
        return len(value.keys)
    raise LookupError(f"{path}: {name} is not a dictionary")


@cache
def _parsed(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def commands() -> None:
    """The list of `weighbridge --help`, then the help of each command."""
    cli = import_module("weighbridge.cli")
    _table(
        ("command", "what it does"),
        [(f"[`{name}`](#{name})", place.explained) for name, place in cli.COMMANDS.items()],
    )
    context = cli.main.make_context("weighbridge", ["--help"], resilient_parsing=True)
    for name in cli.COMMANDS:
        cog().out(f"\n## {name}\n")
        _help(cli.main.get_command(context, name), f"weighbridge {name}", context)


def _help(command: Any, name: str, parent: Any) -> None:
    context = click.Context(command, parent=parent, info_name=name.rpartition(" ")[2], terminal_width=100)
    cog().out(f"\n```text\n{command.get_help(context)}\n```\n")
    for sub in command.list_commands(context) if isinstance(command, click.Group) else ():
        cog().out(f"\n### {name.partition(' ')[2]} {sub}\n")
        _help(command.get_command(context, sub), f"{name} {sub}", context)


def file(path: str, kind: str) -> None:
    """A file of the repository, unchanged."""
    cog().out(f"```{kind}\n{(ROOT / path).read_text(encoding='utf-8').rstrip()}\n```\n")


def example(integration: str, marker: str) -> None:
    """The fenced block below `<!-- marker -->` in the README of an integration, which the end-to-end tests run."""
    text = (ROOT / "integrations" / integration / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {re.escape(marker)} -->\n( *)(```.*?\n *```)\n", text, re.DOTALL)
    if not found:
        raise LookupError(f"{integration} has no block marked {marker!r}")
    cog().out(re.sub(rf"(?m)^{found[1]}", "", found[2]) + "\n")


def home_assistant_words() -> Any:
    """What Home Assistant shows of the integration, in English."""
    path = ROOT / "custom_components" / "weighbridge" / "translations" / "en.json"
    return json.loads(path.read_text(encoding="utf-8"))


def home_assistant_entities() -> None:
    """The sensors of a person."""
    words = [each["name"] for each in home_assistant_words()["entity"]["sensor"].values()]
    cog().outl(f"The sensors: {', '.join(words)}.")


def home_assistant_outcomes() -> None:
    """The outcomes of a delivery, by their name in automations."""
    options = home_assistant_words()["selector"]["outcome"]["options"]
    _table(("outcome", "as it is shown"), [(f"`{name}`", shown) for name, shown in options.items()])


def home_assistant_fields(section: str) -> None:
    """The fields of each action, trigger or condition: `section` is services, triggers or conditions."""
    rows = [
        (f"`{name}`", f"`{field}`", words["description"])
        for name, one in home_assistant_words()[section].items()
        for field, words in one["fields"].items()
        if words["description"] != VALUE_OF_A_SCALE
    ]
    _table((section.removesuffix("s").replace("service", "action"), "field", "what it is"), rows)


#: Of the fields that are named as the values of a reading are.
VALUE_OF_A_SCALE = "As the scale shows it."


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [f"| {' | '.join(row)} |" for row in (titles, *rows)]
    lines.insert(1, f"|{'---|' * len(titles)}")
    cog().outl("\n".join(lines))


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _collapsed(title: str, paragraphs: Sequence[str]) -> None:
    """Text that opens with a click, on GitHub as on the site (md_in_html)."""
    text = "\n\n".join(paragraphs)
    cog().outl(f'\n<details markdown="1">\n<summary>{title}</summary>\n\n{text}\n\n</details>')


#: Runs a program and returns its output.
Output = Callable[[], str]

# -- outputs -----------------------------------------------------------------------------------------------


def demo() -> None:
    """The end of the output of `make demo`."""
    _output("text", demo_ending)


def printed(lines: int = 0) -> None:
    """The output of `curl … | python3 -m json.tool --no-ensure-ascii`, or its first lines."""
    _output("json", lambda: "\n".join(printed_by_json_tool().splitlines()[: lines or None]))


def printed_by_json_tool() -> str:
    tool = [sys.executable, "-m", "json.tool", "--no-ensure-ascii"]
    return subprocess.run(tool, input=answer_to_the_example(), check=True, capture_output=True, text=True).stdout


def fit(name: str = "examples/fitdays.json") -> None:
    """`weighbridge fit` with the example under this name, and what it prints."""
    _output("console", lambda: f"$ weighbridge fit {name}\n{fit_of_the_example(name)}")


def fit_of_the_example(name: str = "examples/fitdays.json") -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).parent.mkdir(exist_ok=True)
        shutil.copy(EXAMPLE, Path(folder) / name)
        return _output_of("fit", name, folder=folder).rstrip()


def answer(name: str) -> None:
    """The command that posts an example, and the summaries in the answer."""
    _output("console", lambda: f"$ {posting(name)}\n{summaries_of(name)}")


def posting(name: str, address: str = "localhost:8080", key: str | Path = "$HOME/.weighbridge/key") -> str:
    """The shell command that posts an example and prints each summary."""
    return f'curl -s -H @{key} -d @examples/{name} {address} | grep -o \'"summary": *"[^"]*"\''


def summaries_of(name: str) -> str:
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        with function_process(embedded(os.environ, folder), folder) as target:
            command = posting(name, target.url, folder / "key")
            done = subprocess.run(command, shell=True, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S602  # as a reader runs it
            return done.stdout.rstrip()


def sdk() -> None:
    """The end of the output of `make verify-sdk`."""
    _output("text", sdk_ending)


def answer_to_the_example() -> str:
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        with function_process(embedded(os.environ, folder), folder) as target:
            receipt = post(target, EXAMPLE.read_bytes())
    return json.dumps(receipt, indent=2, ensure_ascii=False)


def demo_ending() -> str:
    with tempfile.TemporaryDirectory() as folder:
        said = _output_of("demo", folder=folder)
    return said[said.index("The file that was kept") :].rstrip()


def sdk_ending() -> str:
    """The column titles and the last rows."""
    lines = _output_of("sdk", "verify", folder=ROOT).splitlines()
    titles = max(number for number, line in enumerate(lines) if line.startswith("reading "))
    return "\n".join([lines[titles], "…", *lines[-9:]])


def plain(text: str) -> str:
    """An output without the parts that differ at each run: the time of arrival, and the fingerprint made from it."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\dZ", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "SHA256", text)
    return re.sub(r"TIME_[0-9a-f]{12}", "TIME_SHA", text)


def _output_of(*command: str, folder: str | Path) -> str:
    whole = [sys.executable, "-m", "weighbridge", *command]
    return subprocess.run(whole, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def _output(kind: str, run: Callable[[], str]) -> None:
    new = f"```{kind}\n{run()}\n```\n" if os.environ.get("OUTPUTS") == "new" else cog().previous
    cog().out(new)


def cog() -> Any:
    """The module that cogapp offers to the code in a document while it runs."""
    return import_module("cog")
