"""The golden table × every tool -> a table that a person can read.

Rule: a decoder that is not installed is reported as missing and does not count; only FitCSVTool is required.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from weighbridge.fit.encode import encode
from weighbridge.fit.patch import patch
from weighbridge.fit.template import Template, read_template
from weighbridge.resources import TEMPLATES

from .compare import ALLOWED_DIFFERENCES, NOTHING, Difference, Place
from .crosscheck import Case, cross_check
from .decoders import (
    DecoderMissing,
    DecodingFailed,
    WeighIn,
    by_fitdecode,
    by_garmin_javascript,
    by_garmin_python,
)
from .golden import GOLDEN, Golden
from .runners.port import Runner

Decoder = Callable[[bytes], list[WeighIn]]
DECODERS: Mapping[str, Decoder] = {
    "fitdecode": by_fitdecode,
    "garmin-fit-sdk": by_garmin_python,
    "@garmin/fitsdk": lambda content: by_garmin_javascript([content])[0],
}


class Column(NamedTuple):
    """The result of one tool for one file: what differs in each weigh-in, or why the tool is missing."""

    title: str
    differences: Sequence[Difference]
    missing: str = ""

    def result(self, weigh_in: int) -> str:
        if self.missing:
            return "–"
        wrong = [d for d in self.differences if d.weigh_in in (0, weigh_in)]
        return "differs" if wrong else "agrees"


class Section(NamedTuple):
    """The results for one template, with the whole golden table in one file."""

    template: str
    columns: Sequence[Column]
    fields: Sequence[int]


def verify_golden(runner: Runner) -> tuple[list[Section], list[Difference], list[str]]:
    """Check each template with each tool: once with every golden reading, and once with the first one alone.

    Returns a section for each template, all differences, and what FitCSVTool does not know.
    """
    names = sorted(path.stem for path in TEMPLATES.glob("weight_scale*.fit"))
    templates = {name: (TEMPLATES / f"{name}.fit").read_bytes() for name in names}
    cases = [case_of(content, goldens) for content in templates.values() for goldens in (GOLDEN, GOLDEN[:1])]
    checked = cross_check(runner, cases)
    sections, differences = [], []
    for number, (name, content) in enumerate(templates.items()):
        both, alone = checked[2 * number], checked[2 * number + 1]
        template = read_template(content)
        decoded = [_column(title, decode, cases[2 * number].content, template) for title, decode in DECODERS.items()]
        columns = [Column("FitCSVTool reads", both.reading), Column("FitCSVTool writes", both.writing), *decoded]
        sections.append(Section(name, columns, [len(values_in(golden, template)) for golden in GOLDEN]))
        differences += [d for column in columns for d in column.differences] + alone.reading + alone.writing
    not_compared = list(dict.fromkeys(name for each in checked for name in each.not_compared))
    return sections, differences, not_compared


def case_of(template: bytes, goldens: Sequence[Golden]) -> Case:
    readings = [golden.reading for golden in goldens]
    return Case(patch(read_template(template), [encode(reading) for reading in readings]), template, readings)


def values_in(golden: Golden, template: Template) -> dict[str, int | float]:
    """The values of a golden reading that a file made with this template holds."""
    return {name: raw for name, raw in golden.raws.items() if name in template.fields}


def _column(title: str, decode: Decoder, content: bytes, template: Template) -> Column:
    try:
        weigh_ins = decode(content)
    except DecoderMissing as e:
        return Column(title, [], str(e))
    except DecodingFailed as e:
        return Column(title, [Difference("the file", "intact", f"unusable ({e})")])
    if len(weigh_ins) != len(GOLDEN):
        return Column(title, [Difference("the file", f"{len(GOLDEN)} weigh-ins", f"{len(weigh_ins)} weigh-ins")])
    pairs = enumerate(zip(GOLDEN, weigh_ins, strict=True), 1)
    return Column(title, [d for number, pair in pairs for d in _differ(number, *pair, template)])


def _differ(number: int, golden: Golden, weigh_in: WeighIn, template: Template) -> list[Difference]:
    ours = values_in(golden, template)
    theirs = weigh_in.raw | {name: round(value, 2) for name, value in weigh_in.developer.items()}
    place = Place(f"weigh-in {number}", number)
    return [
        place.differs(name, str(ours.get(name, NOTHING)), str(theirs.get(name, NOTHING)))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    ]


def as_data(sections: Sequence[Section]) -> list[dict[str, object]]:
    """The same table for a program: the result of each tool for each reading, by template."""
    return [
        {
            "template": section.template,
            "witnesses": [
                {"name": column.title, "missing": column.missing}
                if column.missing
                else {
                    "name": column.title,
                    "readings": {golden.name: column.result(number) for number, golden in enumerate(GOLDEN, 1)},
                }
                for column in section.columns
            ],
        }
        for section in sections
    ]


def print_table(runner: Runner, sections: Sequence[Section]) -> None:
    for section in sections:
        titles = [column.title for column in section.columns]
        width = max(len(golden.name) for golden in GOLDEN)
        print(f"\n{section.template}.fit")
        print("  ".join(["reading".ljust(width), "fields", *titles]))
        for number, golden in enumerate(GOLDEN, 1):
            results = [column.result(number).ljust(len(column.title)) for column in section.columns]
            print("  ".join([golden.name.ljust(width), str(section.fields[number - 1]).rjust(6), *results]).rstrip())
    missing = {column.title: column.missing for section in sections for column in section.columns if column.missing}
    for title, why in missing.items():
        print(f"\n– {title}: {why}")
    print(f"\nFitCSVTool ran on {runner.name}. Two correct files may differ in: {ALLOWED_DIFFERENCES}.")
