"""Settings come from one mapping, each may be a file, and an invalid one is named without its value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from weighbridge import client, settings
from weighbridge.compose import compose, personal_api, token_store
from weighbridge.errors import SettingsInvalid
from weighbridge.garmin.sessions.garminconnect import import_garminconnect
from weighbridge.secret import SecretStr
from weighbridge.settings import ALL_RIGHTS, VARIABLES, Right, Settings, Variable, read_settings, read_variables

#: Every table of variables.
TABLES: dict[str, Sequence[Variable]] = {"function": settings.VARIABLES, "client": client.VARIABLES}

#: For each variable, a value that is not its default.
GIVEN = {
    "WEIGHBRIDGE_DELIVERY": "browser,folder",
    "WEIGHBRIDGE_FOLDER": "/data/weigh-ins",
    "WEIGHBRIDGE_API_KEYS": "home=a-key-of-sixteen-letters",
    "WEIGHBRIDGE_LOCAL_KEY": "/data/key",
    "WEIGHBRIDGE_TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8",
    "WEIGHBRIDGE_PRIVATE_CALLERS": "form,10.0.0.5",
    "WEIGHBRIDGE_PUSH_ACCOUNT": "push@my-project.iam.gserviceaccount.com",
    "WEIGHBRIDGE_PUSH_AUDIENCE": "weighbridge",
    "WEIGHBRIDGE_PUSH_CERTIFICATES": "http://127.0.0.1:9000/certificates",
    "WEIGHBRIDGE_TEMPLATE": "/data/scale.fit",
    "WEIGHBRIDGE_TIMEZONE": "Europe/Berlin",
    "WEIGHBRIDGE_TOKENS": "/data/tokens",
    "WEIGHBRIDGE_DELIVERIES_AT_ONCE": "3",
    "WEIGHBRIDGE_TOKEN_SECRET": "projects/my-project/secrets/garmin",
    "WEIGHBRIDGE_TOKEN_DATABASE": "postgresql://user:password@db.example.com/weighbridge",
    "WEIGHBRIDGE_CONFIRM_SECONDS": "12.5",
    "WEIGHBRIDGE_JOIN_SECONDS": "30",
    "GARMIN_DOMAIN": "garmin.cn",
    "GARMIN_CA_BUNDLE": "/data/ca.pem",
    "GARMIN_PERSONAL_API_KEY": "a-key-of-garmins",
    "GARMIN_PERSONAL_API_KEY_ENDS": "2027-03-31",
    "WEIGHBRIDGE_PEOPLE": "/data/people.toml",
    "WEIGHBRIDGE_BROWSER": "/usr/bin/chrome",
    "WEIGHBRIDGE_BROWSER_PROFILE": "/data/browser",
    "WEIGHBRIDGE_BROWSER_ARGS": "--no-sandbox --lang=de",
    "WEIGHBRIDGE_NOTIFY": "ntfys://ntfy.sh/topic json://localhost",
    "WEIGHBRIDGE_NOTIFY_VALUES": "true",
    "WEIGHBRIDGE_PING_URL": "https://hc-ping.com/uuid",
    "WEIGHBRIDGE_URL": "https://weighbridge.example.com",
    "WEIGHBRIDGE_KEY": "a-key-of-sixteen-letters",
}


EVERY_VARIABLE = [
    pytest.param(variable, id=f"{program}-{variable.name}")
    for program, variables in TABLES.items()
    for variable in variables
]


@pytest.mark.parametrize("variable", EVERY_VARIABLE)
def test_variable_from_a_file(variable: Variable, tmp_path: Path) -> None:
    """Each variable may be a file, such as a container's secret. It may end with a line break, and wins over NAME."""
    file = tmp_path / "secret"
    file.write_text(f"{GIVEN[variable.name]}\n")
    name = variable.name
    given = read_variables([variable], {name: GIVEN[name]})
    assert given != read_variables([variable], {})
    assert read_variables([variable], {f"{name}_FILE": str(file)}) == given
    assert read_variables([variable], {f"{name}_FILE": str(file), name: ""}) == given


@pytest.mark.parametrize("variable", EVERY_VARIABLE)
def test_missing_file(variable: Variable) -> None:
    """A missing file is reported by its variable, not by its path."""
    with pytest.raises(SettingsInvalid, match=f"{variable.name}_FILE") as fault:
        read_variables([variable], {f"{variable.name}_FILE": "/nowhere/planted"})
    assert "planted" not in str(fault.value)


def test_defaults(tmp_path: Path) -> None:
    """By default files are kept, and the key of this machine is needed."""
    settings = read_settings({}, root=tmp_path)
    assert settings.delivery == ("folder",)
    assert settings.api_keys == ()
    assert settings.local_key == Path.home() / ".weighbridge" / "key"
    assert settings.timezone.key == "UTC"
    assert settings.template.exists()


def test_empty_variable() -> None:
    """An empty variable counts as not set, except one that was to hold keys."""
    names = [variable.name for variable in VARIABLES if variable.name != "WEIGHBRIDGE_API_KEYS"]
    assert read_settings(dict.fromkeys(names, "")) == read_settings({})


@pytest.mark.parametrize("text", ["", " ", ",", " , ", "home=a-key-of-sixteen-letters,"])
def test_blank_key(text: str) -> None:
    """A blank key, or a comma without one, is an error."""
    with pytest.raises(SettingsInvalid, match="WEIGHBRIDGE_API_KEYS"):
        read_settings({"WEIGHBRIDGE_API_KEYS": text})


def test_rights_of_a_key() -> None:
    """Rights and people are part of a key's name. Without them, a key has all rights, for everyone."""
    secret = "a-key:send@anna=of+letters"  # a key may look like rights
    text = f"home={secret},phone:send={secret}1,ben@Ben={secret}2,page:send+read@Anna+Mary Ann={secret}3"
    keys = read_settings({"WEIGHBRIDGE_API_KEYS": text}).api_keys
    assert [(key.name, key.people, key.secret.get_secret_value()) for key in keys] == [
        ("home", (), secret),
        ("phone", (), f"{secret}1"),
        ("ben", ("Ben",), f"{secret}2"),
        ("page", ("Anna", "Mary Ann"), f"{secret}3"),
    ]
    assert [key.rights for key in keys] == [ALL_RIGHTS, {Right.SEND}, ALL_RIGHTS, {Right.SEND, Right.READ}]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEIGHBRIDGE_DELIVERY", "planted"),
        ("WEIGHBRIDGE_DELIVERY", "folder,folder"),
        ("WEIGHBRIDGE_API_KEYS", "planted"),
        ("WEIGHBRIDGE_API_KEYS", "home=short"),
        ("WEIGHBRIDGE_API_KEYS", "home:planted=a-key-of-sixteen-letters"),
        ("WEIGHBRIDGE_API_KEYS", "home:=a-key-of-sixteen-letters"),
        ("WEIGHBRIDGE_API_KEYS", "home@=a-key-of-sixteen-letters"),
        ("WEIGHBRIDGE_API_KEYS", "home@anna:send=a-key-of-sixteen-letters"),
        ("WEIGHBRIDGE_API_KEYS", "home=a-key-of sixteen-planted"),
        ("WEIGHBRIDGE_TRUSTED_PROXIES", "planted"),
        ("WEIGHBRIDGE_TRUSTED_PROXIES", "127.0.0.1,"),
        ("WEIGHBRIDGE_PRIVATE_CALLERS", "form,"),
        ("WEIGHBRIDGE_PRIVATE_CALLERS", "http://planted"),
        ("WEIGHBRIDGE_PUSH_ACCOUNT", "planted"),
        ("WEIGHBRIDGE_PUSH_AUDIENCE", "planted planted"),
        ("WEIGHBRIDGE_PUSH_CERTIFICATES", "planted"),
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
def test_invalid_variable(name: str, value: str) -> None:
    """An invalid variable is named, and its value is not repeated."""
    with pytest.raises(SettingsInvalid) as fault:
        read_settings({name: value})
    assert name in str(fault.value)
    assert "planted" not in str(fault.value)


def test_all_invalid_variables() -> None:
    """All invalid variables are named at once."""
    with pytest.raises(SettingsInvalid, match=r"WEIGHBRIDGE_DELIVERY.*WEIGHBRIDGE_CONFIRM_SECONDS"):
        read_settings({"WEIGHBRIDGE_DELIVERY": "pigeon", "WEIGHBRIDGE_CONFIRM_SECONDS": "soon"})


# -- the time zone -----------------------------------------------------------------------------------------

DATABASE = "usr/share/zoneinfo"
TOKYO = resources.files("tzdata.zoneinfo.Asia").joinpath("Tokyo").read_bytes()


def machine(root: Path, *, link: str = "", file: bytes = b"", timezone: str = "") -> Path:
    """The /etc of a machine, in a folder."""
    etc = root / "etc"
    etc.mkdir()
    if link:
        (etc / "localtime").symlink_to(link)
    if file:
        (etc / "localtime").write_bytes(file)
    if timezone:
        (etc / "timezone").write_text(timezone)
    return root


@pytest.mark.parametrize(
    ("environment", "etc", "zone", "origin"),
    [
        ({}, {}, "UTC", "this machine has no zone"),
        ({}, {"link": "/usr/share/zoneinfo/Etc/UTC"}, "UTC", "/etc/localtime"),
        ({}, {"link": "/usr/share/zoneinfo/Europe/Berlin"}, "Europe/Berlin", "/etc/localtime"),
        ({}, {"link": "../usr/share/zoneinfo/Asia/Tokyo", "timezone": "Etc/UTC"}, "Asia/Tokyo", "/etc/localtime"),
        ({}, {"link": "/var/db/timezone/zoneinfo/Asia/Tokyo"}, "Asia/Tokyo", "/etc/localtime"),
        ({}, {"link": "/nowhere"}, "UTC", "this machine has no zone"),
        ({}, {"file": TOKYO}, "the zone of /etc/localtime", "/etc/localtime"),
        ({}, {"file": b"damaged", "timezone": "Asia/Tokyo\n"}, "Asia/Tokyo", "/etc/timezone"),
        ({}, {"timezone": "Nowhere/Town"}, "UTC", "this machine has no zone"),
        ({"TZ": "Asia/Kolkata"}, {"link": "/usr/share/zoneinfo/Europe/Berlin"}, "Asia/Kolkata", "TZ"),
        ({"TZ": ":Asia/Kolkata"}, {}, "Asia/Kolkata", "TZ"),
        ({"TZ": "/usr/share/zoneinfo/Asia/Kolkata"}, {}, "Asia/Kolkata", "TZ"),
        ({"TZ": ":UTC"}, {}, "UTC", "TZ"),
        ({"TZ": "UTC0"}, {}, "UTC", "TZ"),
        ({"TZ": ""}, {"timezone": "Asia/Tokyo"}, "Asia/Tokyo", "/etc/timezone"),
        ({"TZ": ":/etc/localtime"}, {"timezone": "Asia/Tokyo"}, "Asia/Tokyo", "/etc/timezone"),
        ({"TZ": "Mars/Olympus", "WEIGHBRIDGE_TIMEZONE": "Asia/Tokyo"}, {}, "Asia/Tokyo", "WEIGHBRIDGE_TIMEZONE"),
        ({"TZ": "Asia/Kolkata", "WEIGHBRIDGE_TIMEZONE": ""}, {}, "Asia/Kolkata", "TZ"),
    ],
)
def test_time_zone(environment: dict[str, str], etc: dict[str, Any], zone: str, origin: str, tmp_path: Path) -> None:
    """The zone is the configured one, else the machine's as its C library finds it, else UTC."""
    settings = read_settings(environment, root=machine(tmp_path, **etc))
    assert (str(settings.timezone), settings.timezone_from) == (zone, origin)


def test_file_of_a_zone(tmp_path: Path) -> None:
    """A file that was mounted at /etc/localtime has no name, and its rules count."""
    zone = read_settings({}, root=machine(tmp_path, file=TOKYO)).timezone
    assert datetime(2026, 11, 26, tzinfo=zone).utcoffset() == timedelta(hours=9)


@pytest.mark.parametrize("name", ["CET-1CEST", "Planted/planted", "../planted", "Europe"])
def test_zone_that_is_not_understood(name: str, tmp_path: Path) -> None:
    """A TZ that names no zone is refused, because UTC in its place would be wrong by hours."""
    with pytest.raises(SettingsInvalid, match="Set WEIGHBRIDGE_TIMEZONE") as fault:
        read_settings({"TZ": name}, root=tmp_path)
    assert "planted" not in str(fault.value)


def test_keys_not_in_repr() -> None:
    """The repr of the settings shows no key."""
    assert "planted" not in repr(read_settings({"WEIGHBRIDGE_API_KEYS": "home=planted-planted-planted"}))


# -- WEIGHBRIDGE_DELIVERY=garmin ---------------------------------------------------------------------------


def libraries() -> tuple[str, ...]:
    """The libraries for Garmin that can be imported here, in the order in which they are used."""
    try:
        import_garminconnect()
    except SettingsInvalid:
        return ("garth",)
    return ("garth", "garminconnect")


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [("garmin", (), ()), ("garmin,folder", (), ("folder",)), ("browser, garmin,folder", ("browser",), ("folder",))],
)
def test_garmin_libraries(said: str, before: tuple[str, ...], after: tuple[str, ...], tmp_path: Path) -> None:
    """`garmin` means the libraries that can be used here."""
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
def test_garmin_and_library(said: str) -> None:
    """A library named next to `garmin` counts once."""
    assert sorted(read_settings({"WEIGHBRIDGE_DELIVERY": said}).delivery) == sorted(libraries())


# -- a person's settings -----------------------------------------------------------------------------------

#: What all people share.
SHARED = {"local_key", "template", "tokens", "garmin_ca_bundle", "people"}


@pytest.fixture
def configured() -> Settings:
    # A token has one place.
    names = [variable.name for variable in VARIABLES if variable.name != "WEIGHBRIDGE_TOKEN_SECRET"]
    return read_settings({name: GIVEN[name] for name in names})


def test_paths_of_a_person(configured: Settings) -> None:
    """Each path differs for each person, except those that are shared on purpose."""
    anna, ben = configured.for_person("anna"), configured.for_person("ben")
    paths = {field.name for field in fields(Settings) if isinstance(getattr(configured, field.name), Path)}
    apart = {name for name in paths if len({getattr(each, name) for each in (configured, anna, ben)}) == 3}
    assert apart == paths - SHARED
    assert {name for name in SHARED if getattr(anna, name) == getattr(configured, name)} == SHARED


@pytest.mark.parametrize("place", ["", "WEIGHBRIDGE_TOKEN_SECRET", "WEIGHBRIDGE_TOKEN_DATABASE"])
def test_token_of_a_person(place: str) -> None:
    """Each person has their own token."""
    configured = read_settings({place: GIVEN[place]} if place else {})
    stores = [token_store(each) for each in (configured, configured.for_person("anna"), configured.for_person("ben"))]
    assert [store.name for store in stores] == ["default", "anna", "ben"]
    assert len({getattr(store, "path", store.place) for store in stores}) == 3


def test_one_place_for_the_token() -> None:
    """Two places for the token are an error, which names both."""
    names = ("WEIGHBRIDGE_TOKEN_SECRET", "WEIGHBRIDGE_TOKEN_DATABASE")
    with pytest.raises(SettingsInvalid, match="TOKEN_SECRET and WEIGHBRIDGE_TOKEN_DATABASE are both set"):
        read_settings({name: GIVEN[name] for name in names})


def test_no_personal_api_key_for_a_person(configured: Settings) -> None:
    """With several people the key of the Personal API is not used: it reads one account, and nothing shows whose."""
    assert configured.personal_api_key == SecretStr("a-key-of-garmins")
    assert personal_api(configured.for_person("anna")) is None


def test_default_person(configured: Settings) -> None:
    """For the default token the settings stay the same; if it is one of several people's, without the key."""
    alone = replace(configured, people=None)
    assert alone.for_person("default") == alone
    assert configured.for_person("default") == replace(configured, personal_api_key=None)
