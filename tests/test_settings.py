"""Settings come from one mapping, each also as a file, and a wrong one is named without being repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.errors import SettingsInvalid
from weighbridge.settings import VARIABLES, read_settings


def test_without_any_variable_files_are_kept_for_this_machine_alone() -> None:
    settings = read_settings({})
    assert settings.delivery == ("folder",)
    assert settings.api_keys == {}
    assert settings.timezone.key == "UTC"
    assert settings.template.exists()


def test_an_empty_variable_is_an_unset_one() -> None:
    assert read_settings({variable.name: "" for variable in VARIABLES}) == read_settings({})


def test_each_variable_may_be_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "keys"
    secret.write_text("home=a-key-of-sixteen-letters\n")
    assert list(read_settings({"WEIGHBRIDGE_API_KEYS_FILE": str(secret)}).api_keys) == ["home"]


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
