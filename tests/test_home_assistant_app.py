"""The files of the app of Home Assistant, as the Supervisor reads them."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import weighbridge_fitdays.settings
import weighbridge_form.settings
from scripts.home_assistant_app import main
from tests.skips import unavailable
from weighbridge import __version__, settings
from weighbridge.broker import mqtt_broker
from weighbridge.errors import SettingsInvalid
from weighbridge.operate.app import CALLERS, GRACE_S, broker_url, keys_of, programs, setting_of, settings_of

ROOT = Path(__file__).parent.parent
APP = ROOT / "integrations/home_assistant_app"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
LANGUAGES = ("en", "de", "pt")

#: supervisor/apps/validate.py of 2026: the keys in use here, and what each has to be.
KEYS = {
    "name": str,
    "version": str,
    "slug": str,
    "description": str,
    "url": str,
    "arch": list,
    "image": str,
    "startup": str,
    "timeout": int,
    "watchdog": str,
    "ingress": bool,
    "ingress_port": int,
    "ingress_stream": bool,
    "panel_title": str,
    "panel_icon": str,
    "panel_admin": bool,
    "ports": dict,
    "discovery": list,
    "services": list,
    "map": list,
    "options": dict,
    "schema": dict,
}
ELEMENT = re.compile(
    r"(bool|email|url|port|str(\(\d*,\d*\))?|password(\(\d*,\d*\))?|int\((-?\d+)?,(-?\d+)?\)|int|float"
    r"|match\(.*\)|list\(.+\))\??"
)


def test_config_is_what_the_supervisor_takes() -> None:
    """Each key is one that the Supervisor knows, and has the shape that it checks."""
    assert {key: type(value) for key, value in CONFIG.items()} == KEYS
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert set(CONFIG["arch"]) == {"aarch64", "amd64"}
    assert re.fullmatch(r"([a-zA-Z\-.:\d{}]+/)*?([-\w{}]+)/([-\w{}]+)", CONFIG["image"])
    assert CONFIG["startup"] in ("initialize", "system", "services", "application", "once")
    assert 10 <= CONFIG["timeout"] <= 300
    assert re.match(r"(?:https?|\[PROTO:\w+\]|tcp)://\[HOST\]:(\[PORT:\d+\]|\d+)", CONFIG["watchdog"])
    assert all(re.fullmatch(r"\d+(/tcp|/udp)?", port) for port in CONFIG["ports"])
    assert all(re.fullmatch(r"(mqtt|mysql):(provide|want|need)", service) for service in CONFIG["services"])
    assert all(entry.keys() == {"type", "read_only"} for entry in CONFIG["map"])
    for kind in CONFIG["schema"].values():
        assert ELEMENT.fullmatch(kind), kind


def test_app_has_no_privileges() -> None:
    """No key gives the app a privilege, a device, the host's network or an API beyond what every app has; AppArmor is
    on; only people.toml is read from outside /data, and no port is published until the user does."""
    assert not {"privileged", "full_access", "host_network", "devices", "docker_api", "hassio_api"} & CONFIG.keys()
    assert not {"homeassistant_api", "auth_api", "apparmor", "hassio_role", "environment"} & CONFIG.keys()
    assert CONFIG["map"] == [{"type": "addon_config", "read_only": True}]
    assert CONFIG["ports"] == {"8080/tcp": None}


def test_one_version_and_one_set_of_ports() -> None:
    """The version and the ports of config.yaml are those of the package and the image, which is the last target."""
    assert CONFIG["version"] == __version__
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert last.startswith("runtime AS weighbridge-app\n")
    assert f'io.hass.version="{__version__}"' in last
    assert 'io.hass.arch="aarch64|amd64"' in last
    assert f"STREAMLIT_SERVER_PORT={CONFIG['ingress_port']}\n" in last
    (port,) = CONFIG["ports"]
    assert f"PORT={port.removesuffix('/tcp')} " in DOCKERFILE
    assert CONFIG["watchdog"].endswith(f"[PORT:{port.removesuffix('/tcp')}]")
    assert CONFIG["timeout"] > GRACE_S


def test_each_option_is_a_setting() -> None:
    """Each option is a setting of one of the programs, by its name alone."""
    known = {
        variable.name
        for module in (settings, weighbridge_form.settings, weighbridge_fitdays.settings)
        for variable in module.VARIABLES
    }
    assert {option for option in CONFIG["schema"] if setting_of(option) not in known} == set()
    assert CONFIG["options"].keys() <= CONFIG["schema"].keys()
    for option, kind in CONFIG["schema"].items():
        assert (option in CONFIG["options"]) != kind.endswith("?"), f"{option}: a default, or optional"


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_option_is_explained(language: str) -> None:
    """Each option and port has a name and an explanation in each language, and nothing else has."""
    words = yaml.safe_load((APP / f"translations/{language}.yaml").read_text(encoding="utf-8"))
    assert words.keys() == {"configuration", "network"}
    assert list(words["configuration"]) == list(CONFIG["schema"])
    for option, said in words["configuration"].items():
        assert said.keys() == {"name", "description"}, option
        assert all(isinstance(text, str) and text.strip() for text in said.values()), option
    assert words["network"].keys() == CONFIG["ports"].keys()
    assert all(isinstance(text, str) for text in words["network"].values())


def test_secrets_are_hidden_when_typed() -> None:
    """An option that may hold a secret is a password field."""
    secret = {"fitdays_password", "mqtt_url", "notify", "ping_url", "api_keys", "garmin_personal_api_key"}
    assert {option for option, kind in CONFIG["schema"].items() if kind == "password?"} == secret


def test_store_finds_one_app() -> None:
    """The repository has what the store needs, and no second file that it would take for an app."""
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text(encoding="utf-8"))
    assert repository.keys() == {"name", "url", "maintainer"}
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    paths = [Path(name) for name in listed.split("\0") if name]
    # supervisor/store/data.py: config.* anywhere, except in folders whose name begins with a dot.
    apps = [
        path
        for path in paths
        if path.stem == "config"
        and path.suffix in (".json", ".yaml", ".yml")
        and not any(part.startswith(".") for part in path.parts)
    ]
    assert apps == [Path("integrations/home_assistant_app/config.yaml")]
    for name in ("DOCS.md", "README.md", "CHANGELOG.md"):
        assert (APP / name).read_text(encoding="utf-8").startswith("# "), name
    width, height = struct.unpack(">II", (APP / "icon.png").read_bytes()[16:24])
    assert width == height == 128
    assert (APP / "logo.png").read_bytes().startswith(b"\x89PNG")


def test_apparmor_profile_is_valid() -> None:
    """The profile is one, has the name that the Supervisor expects, and compiles."""
    profile = APP / "apparmor.txt"
    names = re.findall(r"^profile ([^ ]+)", profile.read_text(encoding="utf-8"), re.MULTILINE)
    assert names == [CONFIG["slug"]]
    program = shutil.which("apparmor_parser") or shutil.which("apparmor_parser", path="/usr/sbin:/sbin")
    if program is None:
        unavailable("apparmor_parser is not installed (Debian: apt install apparmor)")
    done = subprocess.run(
        [program, "--skip-kernel-load", "--skip-cache", profile], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_home_assistant_can_build_it(tmp_path: Path) -> None:
    """The folder of `make home-assistant-app` is an app without an image, with what its Dockerfile needs."""
    main(tmp_path / "app")
    config = yaml.safe_load((tmp_path / "app/config.yaml").read_text(encoding="utf-8"))
    assert config == {key: value for key, value in CONFIG.items() if key != "image"}
    assert (tmp_path / "app/Dockerfile").read_text(encoding="utf-8") == DOCKERFILE
    assert (tmp_path / "app/README.md").read_bytes() == (APP / "README.md").read_bytes()
    for name in (
        "pyproject.toml",
        "LICENSE",
        "function/weighbridge/operate/app.py",
        "integrations/containers/unused.txt",
    ):
        assert (tmp_path / "app" / name).read_bytes() == (ROOT / name).read_bytes()
    assert list((tmp_path / "app").rglob("config.*")) == [tmp_path / "app/config.yaml"]
    assert not (tmp_path / "app/tests").exists()


# -- what becomes of the options ---------------------------------------------------------------------------


def test_options_become_settings() -> None:
    """An option is a setting, whatever its kind; the Supervisor's tokens are in no environment of a program."""
    options = {"delivery": "garmin", "notify_values": True, "fitdays_every_seconds": 60, "garmin_domain": "garmin.cn"}
    environment = {"PATH": "/bin", "SUPERVISOR_TOKEN": "planted", "HASSIO_TOKEN": "planted", "GARMIN_DOMAIN": "x.test"}
    assert settings_of(options, environment) == {
        "PATH": "/bin",
        "WEIGHBRIDGE_DELIVERY": "garmin",
        "WEIGHBRIDGE_NOTIFY_VALUES": "true",
        "FITDAYS_EVERY_SECONDS": "60",
        "GARMIN_DOMAIN": "garmin.cn",
    }


def test_each_program_gets_what_it_needs(tmp_path: Path) -> None:
    """Every program takes its settings; only the function has all keys, and only the poller the Fitdays account."""
    keys = keys_of(tmp_path / "keys.json")
    environment = {
        "WEIGHBRIDGE_API_KEYS": "esp:send=a-key-of-the-user",
        "WEIGHBRIDGE_FORM_PHONE_URL": "http://192.168.1.10:8080",
        "FITDAYS_EMAIL": "ann@example.org",
        "FITDAYS_PASSWORD": "planted",
    }
    serve, form, refresh, poll = programs(environment, keys, tmp_path, 8080)
    known = {key.name: key for key in settings.read_settings(serve.environment).api_keys}
    assert known.keys() == {"esp", *CALLERS}
    assert known["integration"].rights == known["page"].rights == settings.ALL_RIGHTS
    assert known["integration"].is_explicit, "otherwise it may not sign in"
    assert known["phone"].rights == known["fitdays"].rights == {settings.Right.SEND}
    page = weighbridge_form.settings.read_settings(form.environment)
    assert (page.key.get_secret_value(), page.phone_key.get_secret_value()) == (keys["page"], keys["phone"])
    settings.read_settings(refresh.environment)
    poller = weighbridge_fitdays.settings.read_settings(poll.environment)
    assert poller.function.key.get_secret_value() == keys["fitdays"]
    assert poller.state == tmp_path / "fitdays"
    assert "WEIGHBRIDGE_API_KEYS" not in poll.environment
    for program in (serve, form, refresh):
        assert "planted" not in program.environment.values()
        assert keys["integration"] not in program.environment.values()
    del environment["FITDAYS_EMAIL"]
    assert len(programs(environment, keys, tmp_path, 8080)) == 3, "no poller without an account"


def test_keys_are_made_once(tmp_path: Path) -> None:
    """Keys are made at the first start, each caller's own, readable by their owner only, and stay; a damaged file is
    named, not replaced."""
    path = tmp_path / "keys.json"
    keys = keys_of(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(keys.values())) == len(CALLERS) == len(keys)
    assert keys_of(path) == keys
    path.write_text("{")
    with pytest.raises(SettingsInvalid, match=r"keys\.json cannot be read"):
        keys_of(path)
    assert path.read_text() == "{"


def test_broker_has_the_name_and_password_of_the_service() -> None:
    """The broker's address holds its user and password, whatever is in them, and whether it wants TLS."""
    service = {"host": "core-mosquitto", "port": 8883, "username": "addons", "password": "p@ss/w:rd%", "ssl": True}
    broker = mqtt_broker(broker_url(service))
    assert (broker.host, broker.port, broker.tls) == ("core-mosquitto", 8883, True)
    assert (broker.user, broker.password) == ("addons", "p@ss/w:rd%")
