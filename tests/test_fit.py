"""A reading becomes exactly these bytes, and every decoder reads exactly this reading from them."""

from __future__ import annotations

import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from tests.golden import DEVELOPER_NAMES, GOLDEN, INSTANT, Golden, readable
from tests.outside import WeighIn, by_fitdecode, by_garmin_javascript, by_garmin_python
from tests.values import Values
from weighbridge.errors import ProofFailed, ReadingRejected
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import READINGS_PER_FILE, patch
from weighbridge.fit.profile import FIELDS, WEIGHT_SCALE
from weighbridge.fit.template import Template, read_template
from weighbridge.fit.verify import verify

ROOT = Path(__file__).parent.parent
TEMPLATES = {
    name: read_template((ROOT / "templates" / f"{name}.fit").read_bytes())
    for name in ("weight_scale", "weight_scale_developer")
}

each_template = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
each_golden = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


def bytes_of(template: Template, *goldens: Golden) -> bytes:
    rows = [encode(golden.reading) for golden in goldens]
    return verify(patch(template, rows), template, rows).content


@each_golden
def test_encode_golden(golden: Golden) -> None:
    """`encode` makes the golden integers."""
    assert readable(dict(encode(golden.reading))) == golden.raws


@each_template
@each_golden
def test_fitdecode_reads_golden(template: Template, golden: Golden) -> None:
    """fitdecode reads the golden integers back."""
    (weigh_in,) = by_fitdecode(bytes_of(template, golden))
    assert_says(weigh_in, golden, template)


@each_template
@each_golden
def test_garmin_python_reads_golden(template: Template, golden: Golden) -> None:
    """Garmin's Python SDK reads the golden integers back."""
    (weigh_in,) = by_garmin_python(bytes_of(template, golden))
    assert_says(weigh_in, golden, template)


@each_template
def test_garmin_javascript_reads_golden(template: Template) -> None:
    """Garmin's JavaScript SDK reads the golden integers back."""
    files = by_garmin_javascript([bytes_of(template, golden) for golden in GOLDEN])
    for golden, (weigh_in,) in zip(GOLDEN, files, strict=True):
        assert_says(weigh_in, golden, template)


@each_template
def test_all_golden_in_one_file(template: Template) -> None:
    """All golden readings in one file are read back in order, by all three decoders."""
    content = bytes_of(template, *GOLDEN)
    for decoded in (by_fitdecode(content), by_garmin_python(content), by_garmin_javascript([content])[0]):
        for golden, weigh_in in zip(GOLDEN, decoded, strict=True):
            assert_says(weigh_in, golden, template)


def assert_says(weigh_in: WeighIn, golden: Golden, template: Template) -> None:
    assert weigh_in.raw == golden.native
    for name, value in weigh_in.value.items():
        assert value == pytest.approx(golden.native[name] / FIELDS[name].scale, abs=1e-9)
    expected = {n: v for n, v in golden.raws.items() if n in DEVELOPER_NAMES and n in template.fields}
    assert {name: round(value, 2) for name, value in weigh_in.developer.items()} == expected


# --- bytes ---


@each_template
def test_only_slots_change(template: Template) -> None:
    """Only the slots, time_created, the sizes and the checksums differ from the template."""
    content = bytes_of(template, GOLDEN[0])
    assert template.time_created is not None
    allowed = {*range(4, 8), *range(12, 14), *range(len(content) - 2, len(content))}
    allowed |= {template.time_created[0] + i for i in range(4)}
    for slot in template.slots:
        allowed |= {template.record_start + slot.start + i for i in range(slot.base_type.size)}
    changed = {i for i, (new, old) in enumerate(zip(content, template.content, strict=True)) if new != old}
    assert changed <= allowed


def test_same_readings_same_bytes() -> None:
    """The same readings make the same bytes."""
    template = TEMPLATES["weight_scale"]
    assert bytes_of(template, *GOLDEN) == bytes_of(template, *GOLDEN)


def test_time_created() -> None:
    """time_created is the instant of the first reading."""
    content = bytes_of(TEMPLATES["weight_scale"], GOLDEN[0])
    assert TEMPLATES["weight_scale"].time_created
    at, _ = TEMPLATES["weight_scale"].time_created
    assert int.from_bytes(content[at : at + 4], "little") == GOLDEN[0].raws["timestamp"]


@pytest.mark.parametrize("count", [0, READINGS_PER_FILE + 1])
def test_readings_per_file(count: int) -> None:
    """`patch` refuses no readings, and more than 200."""
    with pytest.raises(ValueError, match="1 to 200"):
        patch(TEMPLATES["weight_scale"], [encode(GOLDEN[0].reading)] * count)


# --- ranges ---


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("weight_kg", "655.34"),  # 65534 is "calculating"
        ("weight_kg", "655.35"),  # 65535 is invalid
        ("weight_kg", "655.36"),  # would wrap to 0
        ("weight_kg", "-0.01"),
        ("body_fat_percent", "655.35"),
        ("metabolic_age_years", "254.5"),  # rounds to 255, which is invalid
        ("visceral_fat_rating", "256"),  # would wrap to 0
        ("basal_metabolic_rate_kcal", "16383.75"),
        ("bmi", "6553.5"),
    ],
)
def test_value_too_large_for_its_field(source: str, value: str) -> None:
    """A value that its field cannot hold is refused and never wrapped."""
    with pytest.raises(ReadingRejected) as fault:
        encode(Values(measured_at=INSTANT, **{"weight_kg": Decimal(80), source: Decimal(value)}))
    assert fault.value.errors[0].field == source


@pytest.mark.parametrize("year", [1988, 1997, 2127])
def test_instant_outside_fit(year: int) -> None:
    """An instant before July 1998 or after February 2126 is refused."""
    with pytest.raises(ReadingRejected) as fault:
        encode(Values(measured_at=INSTANT.replace(year=year), weight_kg=Decimal(80)))
    assert [error.field for error in fault.value.errors] == ["measured_at"]


@pytest.mark.parametrize("field", [f for f in WEIGHT_SCALE if f.source and f.name != "timestamp"], ids=lambda f: f.name)
def test_largest_value_of_each_field(field: object) -> None:
    """The largest number of each field is accepted and read back."""
    largest = field.base_type.invalid - (2 if field.name == "weight" else 1)  # type: ignore[attr-defined]
    value = Decimal(largest) / field.scale  # type: ignore[attr-defined]
    values = Values(measured_at=INSTANT, **{"weight_kg": Decimal(80), field.source: value})  # type: ignore[attr-defined]
    rows = [encode(values)]
    assert rows[0][field.name] == largest  # type: ignore[attr-defined]
    template = TEMPLATES["weight_scale"]
    (weigh_in,) = by_garmin_python(verify(patch(template, rows), template, rows).content)
    assert weigh_in.raw[field.name] == largest  # type: ignore[attr-defined]


# --- the proof says no ---


def test_proof_needs_template_and_values() -> None:
    """The proof refuses another template, other values, and a value that should not be there."""
    template, other = TEMPLATES["weight_scale"], TEMPLATES["weight_scale_developer"]
    raws = encode(GOLDEN[0].reading)
    content = patch(template, [raws])
    for wrong_rows in ([raws | {"weight": 8141}], [raws | {"timestamp": raws["timestamp"] + 1}], [raws, raws]):
        with pytest.raises(ProofFailed):
            verify(content, template, wrong_rows)
    without = {name: raw for name, raw in raws.items() if name != "percent_fat"}
    with pytest.raises(ProofFailed, match="percent_fat"):
        verify(content, template, [without])
    with pytest.raises(ProofFailed):
        verify(content, other, [raws])


def test_swapped_readings() -> None:
    """The proof refuses readings in another order."""
    template = TEMPLATES["weight_scale"]
    first, second = (encode(golden.reading) for golden in GOLDEN[9:11])
    with pytest.raises(ProofFailed):
        verify(patch(template, [first, second]), template, [second, first])


def test_javascript_lock_names_no_registry() -> None:
    """The lock file of Garmin's JavaScript SDK names no registry."""
    lock = (ROOT / "sdk_fallback" / "js" / "package-lock.json").read_text()
    assert "http" not in lock
    assert "resolved" not in lock


def test_no_node_modules_in_git() -> None:
    """node_modules is not in git."""
    tracked = subprocess.run(
        ["git", "ls-files", "sdk_fallback/js"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "node_modules" not in tracked.stdout
