"""Settings come from one mapping, each also as a file, and a wrong one is named without being repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import SecretStr

from weighbridge import client, settings
from weighbridge.compose import compose, personal_api, token_store
from weighbridge.errors import SettingsInvalid
from weighbridge.garmin.sessions.garminconnect import import_garminconnect
from weighbridge.settings import VARIABLES, Settings, Variable, read_settings, read_variables

#: Every table of variables in the house.
TABLES: dict[str, Sequence[Variable]] = {"function": settings.VARIABLES, "client": client.VARIABLES}

#: For each variable, a value that is not its default.
GIVEN = {
    "WEIGHBRIDGE_DELIVERY": "browser,folder",
    "WEIGHBRIDGE_FOLDER": "/data/weigh-ins",
    "WEIGHBRIDGE_API_KEYS": "home=a-key-of-sixteen-letters",
    "WEIGHBRIDGE_TEMPLATE": "/data/scale.fit",
    "WEIGHBRIDGE_TIMEZONE": "Europe/Berlin",
    "WEIGHBRIDGE_TOKENS": "/data/tokens",
    "WEIGHBRIDGE_TOKEN_SECRET": "projects/my-project/secrets/garmin",
    "WEIGHBRIDGE_CONFIRM_SECONDS": "12.5",
    "GARMIN_DOMAIN": "garmin.cn",
    "GARMIN_CA_BUNDLE": "/data/ca.pem",
    "GARMIN_PERSONAL_API_KEY": "a-key-of-garmins",
    "GARMIN_PERSONAL_API_KEY_ENDS": "2027-03-31",
    "WEIGHBRIDGE_PEOPLE": "/data/people.toml",
    "WEIGHBRIDGE_BROWSER": "/usr/bin/chrome",
    "WEIGHBRIDGE_BROWSER_PROFILE": "/data/browser",
    "WEIGHBRIDGE_BROWSER_ARGS": "--no-sandbox --lang=de",
    "WEIGHBRIDGE_URL": "https://weighbridge.example.com",
    "WEIGHBRIDGE_KEY": "a-key-of-sixteen-letters",
}


EVERY_VARIABLE = [
    pytest.param(variable, id=f"{program}-{variable.name}")
    for program, variables in TABLES.items()
    for variable in variables
]


@pytest.mark.parametrize("variable", EVERY_VARIABLE)
def test_every_variable_of_every_program_may_be_a_file(variable: Variable, tmp_path: Path) -> None:
    """A container's secret is a file, and ends with a line break; it counts before the variable itself."""
    file = tmp_path / "secret"
    file.write_text(f"{GIVEN[variable.name]}\n")
    name = variable.name
    given = read_variables([variable], {name: GIVEN[name]})
    assert given != read_variables([variable], {})
    assert read_variables([variable], {f"{name}_FILE": str(file)}) == given
    assert read_variables([variable], {f"{name}_FILE": str(file), name: ""}) == given


@pytest.mark.parametrize("variable", EVERY_VARIABLE)
def test_a_file_that_is_not_there_is_named_by_its_variable(variable: Variable) -> None:
    with pytest.raises(SettingsInvalid, match=f"{variable.name}_FILE") as fault:
        read_variables([variable], {f"{variable.name}_FILE": "/nowhere/planted"})
    assert "planted" not in str(fault.value)


def test_without_any_variable_files_are_kept_for_this_machine_alone() -> None:
    settings = read_settings({})
    assert settings.delivery == ("folder",)
    assert settings.api_keys == {}
    assert settings.timezone.key == "UTC"
    assert settings.template.exists()


def test_an_empty_variable_is_an_unset_one() -> None:
    assert read_settings({variable.name: "" for variable in VARIABLES}) == read_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIGHBRIDGE_DELIVERY", "planted"),
        ("WEIGHBRIDGE_DELIVERY", "folder,folder"),
        ("WEIGHBRIDGE_API_KEYS", "planted"),
        ("WEIGHBRIDGE_API_KEYS", "home=short"),
        ("WEIGHBRIDGE_API_KEYS", "home=a-key-of-sixteen-planted,home=another-key-of-sixteen"),
        ("WEIGHBRIDGE_TIMEZONE", "Planted/planted"),
        ("WEIGHBRIDGE_TIMEZONE", "../planted"),
        ("WEIGHBRIDGE_CONFIRM_SECONDS", "planted"),
        ("WEIGHBRIDGE_CONFIRM_SECONDS", "-1"),
        ("WEIGHBRIDGE_CONFIRM_SECONDS", "nan"),
        ("GARMIN_DOMAIN", "garmin.com/planted"),
        ("WEIGHBRIDGE_API_KEYS_FILE", "/nowhere/planted"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_but_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as fault:
        read_settings({name: value})
    assert name in str(fault.value)
    assert "planted" not in str(fault.value)


def test_all_wrong_variables_are_named_at_once() -> None:
    with pytest.raises(SettingsInvalid, match=r"WEIGHBRIDGE_DELIVERY.*WEIGHBRIDGE_CONFIRM_SECONDS"):
        read_settings({"WEIGHBRIDGE_DELIVERY": "pigeon", "WEIGHBRIDGE_CONFIRM_SECONDS": "soon"})


def test_keys_do_not_show_when_settings_are_printed() -> None:
    assert "planted" not in repr(read_settings({"WEIGHBRIDGE_API_KEYS": "home=planted-planted-planted"}))


# -- WEIGHBRIDGE_DELIVERY=garmin ---------------------------------------------------------------------------


def libraries() -> tuple[str, ...]:
    """The libraries of Garmin's that can be imported here, in the order in which they are used."""
    try:
        import_garminconnect()
    except SettingsInvalid:
        return ("garth",)
    return ("garth", "garminconnect")


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [("garmin", (), ()), ("garmin,folder", (), ("folder",)), ("browser, garmin,folder", ("browser",), ("folder",))],
)
def test_garmin_is_whichever_library_works_here(
    said: str, before: tuple[str, ...], after: tuple[str, ...], tmp_path: Path
) -> None:
    found = read_settings(
        {
            "WEIGHBRIDGE_DELIVERY": said,
            "WEIGHBRIDGE_FOLDER": str(tmp_path / "kept"),
            "WEIGHBRIDGE_TOKENS": str(tmp_path / "tokens"),
        }
    )
    assert found.delivery == (*before, *libraries(), *after)
    assert compose(found).weighbridge.delivery.name == ",".join(found.delivery)


@pytest.mark.parametrize("said", ["garth,garmin", "garmin,garth"])
def test_a_library_that_is_named_beside_garmin_counts_once(said: str) -> None:
    assert sorted(read_settings({"WEIGHBRIDGE_DELIVERY": said}).delivery) == sorted(libraries())


# -- a person's settings -----------------------------------------------------------------------------------

#: What all people of a house share.
SHARED = {"template", "tokens", "garmin_ca_bundle", "people"}


@pytest.fixture
def house() -> Settings:
    return read_settings({name: GIVEN[name] for name in (variable.name for variable in VARIABLES)})


def test_every_path_is_apart_for_each_person_or_known_to_be_shared(house: Settings) -> None:
    anna, ben = house.for_person("anna"), house.for_person("ben")
    paths = {field.name for field in fields(Settings) if isinstance(getattr(house, field.name), Path)}
    apart = {name for name in paths if len({getattr(each, name) for each in (house, anna, ben)}) == 3}
    assert apart == paths - SHARED
    assert {name for name in SHARED if getattr(anna, name) == getattr(house, name)} == SHARED


@pytest.mark.parametrize("secret", ["", GIVEN["WEIGHBRIDGE_TOKEN_SECRET"]], ids=["folder", "secret"])
def test_each_person_has_a_token_of_their_own(secret: str) -> None:
    house = read_settings({"WEIGHBRIDGE_TOKEN_SECRET": secret})
    stores = [token_store(each) for each in (house, house.for_person("anna"), house.for_person("ben"))]
    assert [store.name for store in stores] == ["default", "anna", "ben"]
    assert len({getattr(store, "path", store.place) for store in stores}) == 3


def test_the_key_of_the_personal_api_is_nobodys_in_a_house_of_several(house: Settings) -> None:
    """It reads one account, and does not say whose."""
    assert house.personal_api_key == SecretStr("a-key-of-garmins")
    assert personal_api(house.for_person("anna")) is None


def test_where_nobody_is_named_nothing_changes(house: Settings) -> None:
    assert house.for_person("default") == house
