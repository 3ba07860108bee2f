"""The manifests of integrations/cloud: their settings exist, and they match the image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from weighbridge import __version__
from weighbridge.http.routes import find_route
from weighbridge.settings import VARIABLES, Right, read_settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "integrations" / "cloud"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def service_of(name: str) -> Any:
    documents = list(yaml.safe_load_all((FOLDER / name).read_text()))
    (service,) = [document for document in documents if document["kind"] == "Service"]
    return service["spec"]["template"]["spec"]


@pytest.mark.parametrize("name", ["knative.yaml", "cloud-run.yaml"])
def test_manifest_matches_this_version(name: str) -> None:
    """A manifest runs this version, with settings that exist, the image's port and an open route as its probe."""
    (container,) = service_of(name)["containers"]
    assert container["image"].endswith(f"/weighbridge:{__version__}")
    values = {variable["name"]: variable.get("value", "home=0123456789abcdef") for variable in container["env"]}
    assert values.keys() <= {variable.name for variable in VARIABLES}
    # Each value is accepted.
    read_settings({key: value.replace("PROJECT", "my-project") for key, value in values.items()})
    (port,) = container["ports"]
    assert f"PORT={port['containerPort']}" in DOCKERFILE
    probe = container.get("readinessProbe") or container["startupProbe"]
    route, _ = find_route("GET", probe["httpGet"]["path"])
    assert route.right is None


def test_knative_runs_as_the_image_user() -> None:
    """The Knative manifest runs as the user of the image and mounts its data folder as a volume."""
    spec = service_of("knative.yaml")
    (container,) = spec["containers"]
    image = DOCKERFILE[DOCKERFILE.index(" AS runtime\n") : DOCKERFILE.index("FROM runtime AS weighbridge\n")]
    (user,) = re.findall(r"^USER (\d+):\d+", image, re.MULTILINE)
    assert container["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == int(user)
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert "WEIGHBRIDGE_TOKENS=/data/tokens" in DOCKERFILE


def test_documented_role_is_sufficient() -> None:
    """The role in the README has every permission that the token store needs."""
    from weighbridge.garmin import secret_manager

    page = (FOLDER / "README.md").read_text()
    granted = set(re.findall(r"secretmanager\.\w+\.\w+", page.partition("--permissions ")[2].partition("\n")[0]))
    assert {secret_manager.ADD, secret_manager.UPDATE} < granted
    assert {f"secretmanager.{what}" for what in ("secrets.get", "versions.get", "versions.access")} < granted


def test_documented_push() -> None:
    """The documented settings of a push exist, are accepted, and are those of the subscription beside them."""
    page = (ROOT / "docs" / "cloud.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    values = {variable["name"]: variable["value"] for variable in yaml.safe_load(block)["env"]}
    assert values.keys() <= {variable.name for variable in VARIABLES}
    push = read_settings({name: value.replace("PROJECT", "my-project") for name, value in values.items()}).push
    assert push
    options = dict(re.findall(r"--(push-[a-z-]+) (\S+)", page.replace("PROJECT", "my-project")))
    assert options["push-auth-service-account"] == push.account
    assert options["push-auth-token-audience"] == push.audience
    assert find_route("POST", options["push-endpoint"].removeprefix("ADDRESS"))[0].right is Right.SEND
