"""The shipped files of the containers pass two linters and explain every setting. No container is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from scripts.base_images import IMAGE
from scripts.sbom import IMAGES
from tests.e2e.parts.docker import compose_program
from tests.e2e.parts.npm import installed
from weighbridge import __version__
from weighbridge.settings import VARIABLES, Right, read_settings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "compose.yaml").read_text()
STACKS = ROOT / "integrations/containers/stacks"
#: The files for a stack that exists already.
SMALL = sorted(STACKS.glob("*.yaml"))
#: A reference to a setting, with at most one more in it.
REFERENCE = re.compile(r"\$\{(\w+)((?:[^{}]|\{[^{}]*\})*)\}")


def test_hadolint_finds_nothing() -> None:
    """hadolint finds nothing in the Dockerfile."""
    hadolint = Path(sys.executable).with_name("hadolint")
    subprocess.run([hadolint, "--failure-threshold", "style", ROOT / "Dockerfile"], check=True)


def test_dclint_finds_nothing() -> None:
    """dclint finds nothing in compose.yaml and the small files."""
    dclint = installed(ROOT / "tests/e2e/compose_linter", "dclint")
    rules = ROOT / "integrations/containers/dclint.yaml"
    subprocess.run([dclint, "--config", rules, "--max-warnings", "0", ROOT / "compose.yaml", *SMALL], check=True)


def test_env_example_names_each_setting() -> None:
    """The file .env.example names exactly the settings that compose.yaml reads."""
    read = set(re.findall(r"\$\{(\w+)", COMPOSE))
    named = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert read | {"COMPOSE_PROFILES"} == named  # Compose itself reads COMPOSE_PROFILES


def test_dockerignore_lets_the_wheel_in(tmp_path: Path) -> None:
    """Every file of the wheel gets into the images; a folder that the list forgets would be missing there alone."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", tmp_path], cwd=ROOT, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folder_of = {PurePosixPath(package).name: PurePosixPath(package).parent for package in packages["packages"]}
    with zipfile.ZipFile(wheel) as archive:
        packed = [PurePosixPath(name) for name in archive.namelist()]
    names = [folder_of[name.parts[0]] / name for name in packed if name.parts[0] in folder_of]
    # A README is for those who read the source.
    names = [name for name in names if "shipped" not in name.parts and name.suffix != ".md"]
    assert len(names) > 50
    assert [str(name) for name in names if not any(same_place(name, pattern) for pattern in allowed)] == []


def same_place(name: PurePosixPath, pattern: str) -> bool:
    return name.parent == PurePosixPath(pattern).parent and name.match(pattern)


def test_images_are_of_this_version() -> None:
    """The images of compose.yaml are of this version."""
    found = re.findall(
        r"^ *image: (?:\$\{WEIGHBRIDGE_IMAGE:-weighbridge\}|weighbridge-form):(\S+)", COMPOSE, re.MULTILINE
    )
    assert found == [__version__] * 2


def test_images_say_what_they_are() -> None:
    """Each image is labeled with its name, what it is, its version, its source and its license."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = {found[2]: (found[1], found[3]) for found in re.finditer(STAGE, dockerfile)}
    for image in IMAGES:
        labels: dict[str, str] = {}
        stage = image
        while stage in stages:
            stage, text = stages[stage]
            labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text)) | labels
        assert labels.pop("title") == image
        assert labels.pop("description")
        assert labels.pop("documentation").endswith("/docs/docker.md")
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        source = project["urls"]["Homepage"]
        assert labels == {"version": __version__, "source": source, "licenses": project["license"]}


#: A stage of the Dockerfile: its base, its name, its lines.
STAGE = r"(?ms)^FROM (\S+) AS (\S+)$(.*?)(?=^FROM |\Z)"


def test_images_of_others_have_a_digest() -> None:
    """Each image of others is named by its digest, except Home Assistant's."""
    images = [found for text in (COMPOSE, (ROOT / "Dockerfile").read_text()) for found in IMAGE.finditer(text)]
    assert len(images) == 5
    assert {found["name"] for found in images if not found["digest"]} == {"homeassistant/home-assistant"}


def test_function_gets_each_setting() -> None:
    """Every setting of Weighbridge is passed on to the function, or fixed by the image."""
    function = yaml.safe_load(COMPOSE)["services"]["function"]["environment"]
    elsewhere = {"WEIGHBRIDGE_TOKEN_SECRET", "WEIGHBRIDGE_TOKEN_DATABASE"}  # the token is in the volume
    assert {variable.name for variable in VARIABLES} - FIXED - elsewhere - set(function) == set()


def test_page_alone_may_sign_in() -> None:
    """The page has a key with which it may sign in to Garmin, and is the only caller that needs no HTTPS for that."""
    services = yaml.safe_load(COMPOSE)["services"]
    secrets = {"WEIGHBRIDGE_KEY": "a-key-of-sixteen-letters"}
    given = {
        name: REFERENCE.sub(lambda found: secrets.get(found[1], ""), value)
        for name, value in services["function"]["environment"].items()
        if value and name in ("WEIGHBRIDGE_API_KEYS", "WEIGHBRIDGE_PRIVATE_CALLERS")
    }
    settings = read_settings(given)
    (key,) = settings.api_keys
    assert key.is_explicit
    assert Right.ADMINISTER in key.rights
    assert settings.private_callers == ("form",)
    assert services["form"]["environment"]["WEIGHBRIDGE_KEY"] == "${WEIGHBRIDGE_KEY}"


def test_daily_look_delivers_as_the_function() -> None:
    """What delivers later has every setting of delivery that the function has, and no key of a caller."""
    services = yaml.safe_load(COMPOSE)["services"]
    function, refresh = (services[name]["environment"] for name in ("function", "refresh"))
    assert refresh == {name: value for name, value in function.items() if name not in CALLERS}


def test_each_address_is_a_setting() -> None:
    """Each port is open to this machine only, until a setting says otherwise."""
    for path in (ROOT / "compose.yaml", *SMALL):
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            for port in service.get("ports", []):
                assert re.fullmatch(r"\$\{[A-Z_]+_ADDRESS:-127\.0\.0\.1\}", port["host_ip"]), (path.name, name)


def test_small_files_agree_with_compose_yaml() -> None:
    """A service of a small file is confined, checked and limited as that of compose.yaml, and runs the same."""
    whole = yaml.safe_load(COMPOSE)["services"]
    # What a place to run decides.
    differs = {"environment", "env_file", "ports", "volumes", "networks", "depends_on", "image", "build", "pull_policy"}
    seen = set()
    for path in SMALL:
        content = yaml.safe_load(path.read_text())
        for name, service in content["services"].items():
            if set(service) <= {"networks", "environment"}:  # in addition to another small file
                continue
            seen.add(name)
            theirs = whole[name.removeprefix("weighbridge-")]
            assert comparable(service, differs) == comparable(theirs, differs), name
            if name == "weighbridge-tunnel":
                assert service["image"] == theirs["image"]
                continue
            image = "weighbridge-form" if name == "weighbridge-form" else "${WEIGHBRIDGE_IMAGE:-weighbridge}"
            assert service["image"] == f"{REGISTRY}/{image}:${{WEIGHBRIDGE_VERSION:-{__version__}}}"
            assert service["pull_policy"] == "missing", "what make images has built is taken"
    assert {"function", "form", "refresh", "worker", "relay", "migrate", "backup", "fitdays", "doctor", "tunnel"} == {
        name.removeprefix("weighbridge-") for name in seen
    }


#: Where the small files look for the images that a release publishes.
REGISTRY = "${WEIGHBRIDGE_REGISTRY:-ghcr.io/weighbridge}"


def test_images_have_the_name_under_which_they_are_published(tmp_path: Path) -> None:
    """The registry of the small files is the one to which a release pushes, and at which Home Assistant finds the app.
    `make images` builds the images of these names, or of another registry."""
    registry = REGISTRY.partition(":-")[2].removesuffix("}")
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["images"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    owner = urlsplit(project["urls"]["Homepage"]).path.split("/")[1]
    pushed = workflow["env"]["IMAGE"].replace("${{ github.repository_owner }}", owner)
    assert pushed == f"{registry}/${{{{ matrix.target }}}}"
    assert {"weighbridge", "weighbridge-form", "weighbridge-browser"} <= set(workflow["strategy"]["matrix"]["target"])
    app = yaml.safe_load((ROOT / "integrations/home_assistant_app/config.yaml").read_text())
    assert app["image"] == f"{registry}/weighbridge-app"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/arguments"\n')
    docker.chmod(0o755)
    for given in ([], ["registry.example:5000/mine"]):
        script = ROOT / "integrations/containers/images.sh"
        subprocess.run([script, *given], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, cwd=tmp_path, check=True)
        assert (tmp_path / "arguments").read_text().splitlines() == [
            f"build --target {image} --tag {(given or [registry])[0]}/{image}:{__version__} ."
            for image in ("weighbridge", "weighbridge-form")
        ]
        (tmp_path / "arguments").unlink()


def comparable(service: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in without}
    profiles = [profile.removeprefix("weighbridge-") for profile in kept.pop("profiles", [])]
    # The page and the tunnel are what a small file is for.
    return kept | {"profiles": [profile for profile in profiles if profile not in ("form", "tunnel")]}


def test_small_files_collide_with_nothing() -> None:
    """Every service, volume, network and profile of a small file starts with `weighbridge-`, and so does every setting:
    a variable of the stack that includes the file would override it."""
    for path in SMALL:
        content = yaml.safe_load(path.read_text())
        names = [name for kind in ("services", "volumes", "networks") for name in content.get(kind, {})]
        names += [name for service in content["services"].values() for name in service.get("profiles", [])]
        assert [name for name in names if not name.startswith("weighbridge-")] == []
        assert not {"name"} & set(content)
        read = set(re.findall(r"\$\{(\w+)", path.read_text()))
        assert {name for name in read if not name.startswith(("WEIGHBRIDGE_", "FITDAYS_", "GARMIN_"))} == set()


@pytest.mark.parametrize("path", [ROOT / "compose.yaml", *SMALL], ids=lambda path: path.name)
def test_compose_reads_each_file(path: Path, tmp_path: Path) -> None:
    """Compose reads compose.yaml, and each small file as its first lines say to include it. Each value that its example
    leaves empty is set."""
    example = STACKS / "weighbridge.env.example" if path in SMALL else ROOT / ".env.example"
    settings = tmp_path / ("weighbridge/weighbridge.env" if path in SMALL else ".env")
    shutil.copytree(STACKS, tmp_path / "weighbridge")
    settings.write_text(re.sub(r"(?m)^(\w+)=$", r"\1=x", example.read_text()))
    # The lines of the comment that are set in by two more spaces.
    included = re.findall(r"(?m)^# {3}(include:| .*)$", path.read_text().partition("\n\n")[0])
    (tmp_path / "compose.yaml").write_text("\n".join(included) if path in SMALL else path.read_text())
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    done = subprocess.run(
        [compose_program(), "--profile", "*", "config"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert yaml.safe_load(path.read_text())["services"].keys() <= yaml.safe_load(done.stdout)["services"].keys()


def test_example_of_small_files_names_what_is_needed() -> None:
    """weighbridge.env.example names each setting that a small file demands, and only settings that exist."""
    example = set(re.findall(r"^(\w+)=", (STACKS / "weighbridge.env.example").read_text(), re.MULTILINE))
    text = "".join(path.read_text() for path in SMALL)
    assert set(re.findall(r"\$\{(\w+):\?", text)) - example == set()
    read = set(re.findall(r"\$\{(\w+)", text)) | {variable.name for variable in VARIABLES}
    assert example - read == set()


#: What the image sets, and where only one value makes sense in a container.
FIXED = {
    *("WEIGHBRIDGE_FOLDER", "WEIGHBRIDGE_TOKENS", "WEIGHBRIDGE_LOCAL_KEY"),
    *("WEIGHBRIDGE_BROWSER", "WEIGHBRIDGE_BROWSER_PROFILE", "WEIGHBRIDGE_BROWSER_ARGS"),
}
#: Who may call: only for what is called.
CALLERS = {
    *("WEIGHBRIDGE_API_KEYS", "WEIGHBRIDGE_PRIVATE_CALLERS", "WEIGHBRIDGE_TRUSTED_PROXIES"),
    *("WEIGHBRIDGE_PUSH_ACCOUNT", "WEIGHBRIDGE_PUSH_AUDIENCE", "WEIGHBRIDGE_PUSH_CERTIFICATES"),
}


def test_small_files_pass_on_settings_alone() -> None:
    """The function of page.yaml gets every setting of Weighbridge by its name, and nothing else: no other secret can
    reach it. What delivers later gets those of delivery."""
    services = yaml.safe_load((STACKS / "page.yaml").read_text())["services"]
    function, refresh = (services[f"weighbridge-{name}"] for name in ("function", "refresh"))
    assert set(function["environment"]) == {variable.name for variable in VARIABLES} - FIXED
    assert set(refresh["environment"]) == set(function["environment"]) - CALLERS
    for name, value in refresh["environment"].items():
        assert re.fullmatch(rf"\$\{{{name}:-(folder)?\}}", value), "a setting, and no other one"
    held = [
        name for path in SMALL for name in yaml.safe_load(path.read_text())["services"].values() if "env_file" in name
    ]
    assert held == [], "a whole file would reach a container"


#: How the name of a setting ends that may be anywhere. Any other one counts as a secret, so that none is forgotten.
HARMLESS = (
    *("REGISTRY", "IMAGE", "VERSION", "ADDRESS", "PORT", "NETWORK", "HOST", "DATABASE", "USER", "TOPIC"),
    *("FORM_HOSTS", "FORM_SIGN_IN", "ACCESS_TEAM", "ACCESS_AUDIENCE", "PHONE_URL"),
    *("FITDAYS_EMAIL", "FITDAYS_API", "FITDAYS_DAYS", "EVERY_SECONDS", "FITDAYS_PEOPLE"),
)


def test_no_service_has_a_secret_of_another() -> None:
    """Each secret of the small files is in the services that need it, and in no other."""
    settings = {variable.name for variable in VARIABLES}  # the test above says where these are
    found: dict[str, set[str]] = {}
    for path in SMALL:
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            for setting in set(re.findall(r"\$\{(\w+)", str(service))) - settings:
                if not setting.endswith(HARMLESS):
                    found.setdefault(setting.removeprefix("WEIGHBRIDGE_"), set()).add(name.removeprefix("weighbridge-"))
    assert found == {
        "KEY": {"function", "form", "worker", "fitdays", "doctor"},
        "FORM_PASSWORD": {"form"},
        "FORM_PHONE_KEY": {"function", "form"},
        "FITDAYS_PASSWORD": {"fitdays"},
        "POSTGRES_PASSWORD": {"migrate", "backup"},
        "RELAY_PASSWORD": {"migrate", "relay"},
        "WORKER_PASSWORD": {"migrate", "worker", "doctor"},
        "MQTT_URL": {"relay", "doctor"},
        "TUNNEL_TOKEN": {"tunnel"},
    }


def test_only_the_function_is_pulled_or_built() -> None:
    """Compose never asks a registry for the image that the function builds."""
    services = yaml.safe_load(COMPOSE)["services"]
    ours = {name: service for name, service in services.items() if "WEIGHBRIDGE_IMAGE" in service.get("image", "")}
    assert {name for name, service in ours.items() if "build" in service} == {"function"}
    assert {service["pull_policy"] for name, service in ours.items() if name != "function"} == {"never"}


def test_each_service_has_limits() -> None:
    """No service can take all memory, processes or processors. One processor: more would not start on a small board."""
    services = yaml.safe_load(COMPOSE)["services"]
    limits = {
        name: (service["mem_limit"], service["pids_limit"], service["cpus"]) for name, service in services.items()
    }
    assert len(limits) == 13
    assert {cpus for _, _, cpus in limits.values()} == {1}
    assert all(int(pids) <= 1024 for _, pids, _ in limits.values())
    assert {memory for memory, _, _ in limits.values()} <= {"256m", "512m", "1g", "2g"}


def test_passwords_are_no_arguments(tmp_path: Path) -> None:
    """The broker's password is in no argument of a program, which every user of the machine can read."""
    broker = yaml.safe_load(COMPOSE)["services"]["broker"]
    ((command,), check) = broker["command"], broker["healthcheck"]["test"]
    assert "$" not in " ".join(check)
    # Each program notes its arguments. printf, if the shell did not have its own, would be one of them.
    for name in ("mosquitto_passwd", "mosquitto", "printf"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/arguments"\n')
        (tmp_path / name).chmod(0o700)
    for shell in ("sh", "bash"):
        subprocess.run(
            [shell, "-c", command.replace("$$", "$").replace("/tmp/", f"{tmp_path}/")],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "MQTT_PASSWORD": "planted-mqtt"},
            check=True,
        )
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert [line.split()[0] for line in arguments] == ["mosquitto_passwd", "mosquitto"] * 2
    assert "planted-mqtt" not in "".join(arguments)
    assert (tmp_path / "passwords").read_text() == "weighbridge:planted-mqtt\n"
    assert (tmp_path / "mosquitto_pub").read_text() == "-u weighbridge\n-P planted-mqtt\n"
    assert (tmp_path / "passwords").stat().st_mode & 0o077 == 0


def test_only_migrate_has_the_owner() -> None:
    """The owner of the tables signs in from what ends by itself; the relay and the worker have roles of their own."""
    services = yaml.safe_load(COMPOSE)["services"]
    roles = {
        name: re.findall(r"postgresql://(\w+):", service["environment"]["DATABASE_URL"])
        for name, service in services.items()
        if "DATABASE_URL" in service.get("environment", {})
    }
    owner = ["weighbridge"]
    assert roles == {
        "migrate": owner,
        "backup": owner,
        "worker": ["weighbridge_worker"],
        "doctor": ["weighbridge_worker"],
        "relay": ["weighbridge_relay"],
    }


@pytest.mark.parametrize("script", ["up.sh", "down.sh"])
@pytest.mark.parametrize(
    ("compose", "engine", "said"),
    [
        ("exit 1", "", "Docker Compose is not installed"),
        ("echo 2.17.3", "", "Expected Docker Compose 2.20 or newer, got 2.17.3"),
        ("echo v2.9", "", "Expected Docker Compose 2.20 or newer, got v2.9"),
        ("echo 2.40.3", "echo Cannot connect; exit 1", "The Docker engine does not answer"),
        ("echo 2.20.0", "echo 27", "The file .env is missing"),
        ("echo 5.0.1", "echo 27", "The file .env is missing"),
    ],
)
def test_missing_program_is_named(tmp_path: Path, script: str, compose: str, engine: str, said: str) -> None:
    """`make up` and `make down` name what is missing, in one message, before they do anything."""
    folder = tmp_path / "integrations" / "containers"
    folder.mkdir(parents=True)
    for name in (script, "checks.sh"):
        shutil.copy(ROOT / "integrations/containers" / name, folder)
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\ncase "$1" in\ncompose) {compose} ;;\nversion) {engine or ":"} ;;\nesac\n')
    docker.chmod(0o755)
    path = f"{docker.parent}:/usr/bin:/bin"
    done = subprocess.run([folder / script], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stdout == ""


def test_cloudflared_accepts_its_file() -> None:
    """The configuration of the tunnel fulfils what `cloudflared tunnel ingress validate` checks, and every rule that
    leads to the page demands a token of Access."""
    file = yaml.safe_load((STACKS / "cloudflared.yml").read_text())
    assert set(file) == {"tunnel", "credentials-file", "ingress"}
    *rules, last = file["ingress"]
    assert set(last) == {"service"}, "the last rule must match everything"
    assert re.fullmatch(r"http_status:[1-5]\d\d", last["service"])
    for rule in rules:
        assert set(rule) <= {"hostname", "path", "service", "originRequest"}
        assert rule["hostname"] not in ("", "*"), "only the last rule matches everything"
        assert ":" not in rule["hostname"]
        assert "*" not in rule["hostname"][1:]
        service = urlsplit(rule["service"])
        assert service.scheme
        assert service.hostname in yaml.safe_load((STACKS / "own-tunnel.yaml").read_text())["services"]
        assert service.path == "", "a rule cannot lead to another path"
        access = rule["originRequest"]["access"]
        assert set(access) == {"required", "teamName", "audTag"}
        assert access["required"] is True
        assert access["teamName"]
        assert all(re.fullmatch(r"[0-9a-f]{64}", tag) for tag in access["audTag"])
        assert len(access["audTag"]) == 1
