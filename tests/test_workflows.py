"""The workflows of GitHub: what they may do, and that they run what exists. tests/e2e/test_workflows.py reads them with
actionlint. They have not run on GitHub."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.sbom import IMAGES

ROOT = Path(__file__).parent.parent
WORKFLOWS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github/workflows").glob("*.yml")}
each_workflow = pytest.mark.parametrize("name", sorted(WORKFLOWS))
#: They follow Home Assistant, and have no releases for that.
FOLLOWED = {"home-assistant/actions/hassfest@master", "hacs/action@main"}
#: The only jobs that may write, and what.
WRITERS = {
    "release.yml": {
        "images": {"attestations", "id-token", "packages"},
        "package": {"id-token"},
        "release": {"contents"},
        "documentation": {"id-token", "pages"},
    }
}


def jobs_of(name: str) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(WORKFLOWS[name])["jobs"]
    return jobs


def steps_of(name: str) -> Iterator[dict[str, Any]]:
    for job in jobs_of(name).values():
        yield from job["steps"]


def test_workflows_are_there() -> None:
    """Checks, the release, and what Home Assistant asks for."""
    assert WORKFLOWS.keys() == {"checks.yml", "release.yml", "home-assistant.yml"}


@each_workflow
def test_actions_are_pinned(name: str) -> None:
    """Each action is pinned by a whole commit, with its version behind it."""
    for action in re.findall(r"uses: (.*)", WORKFLOWS[name]):
        assert action in FOLLOWED or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action


def test_one_commit_of_each_action() -> None:
    """Each action has one version in all workflows."""
    versions = defaultdict(set)
    for text in WORKFLOWS.values():
        for action, version in re.findall(r"uses: ([^@\n]+)@(.*)", text):
            versions[action].add(version)
    assert {action for action, found in versions.items() if len(found) > 1} == set()


@each_workflow
def test_least_permissions(name: str) -> None:
    """A workflow has no permission, and each job only those that it names. What it checks out keeps no token."""
    assert yaml.safe_load(WORKFLOWS[name])["permissions"] == {}
    for job, content in jobs_of(name).items():
        writes = {what for what, level in content["permissions"].items() if level == "write"}
        assert writes == WRITERS.get(name, {}).get(job, set())
        assert content["timeout-minutes"]
    for step in steps_of(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"] == {"persist-credentials": False}


@each_workflow
def test_nothing_is_inserted_into_a_command(name: str) -> None:
    """A command takes values from its environment only, so that no name of a branch becomes a part of it."""
    assert [step["run"] for step in steps_of(name) if "${{" in step.get("run", "")] == []


@each_workflow
def test_targets_exist(name: str) -> None:
    """Each target of make that a workflow runs exists."""
    targets = set(re.findall(r"(?m)^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for step in steps_of(name):
        for target in re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.MULTILINE):
            assert target in targets


def test_release_publishes_what_was_checked() -> None:
    """A tag alone starts a release; nothing is published before the check, and the package after the images."""
    on = yaml.load(WORKFLOWS["release.yml"], yaml.BaseLoader)["on"]  # `on` is a word
    assert on == {"push": {"tags": ["v*"]}}
    jobs = jobs_of("release.yml")
    waits = {name: job.get("needs") for name, job in jobs.items()}
    assert waits == {
        "check": None,
        "images": "check",
        "package": ["check", "images"],
        "release": "package",
        "documentation": "release",
    }
    (check,) = (step["run"] for step in jobs["check"]["steps"] if step.get("run", "").startswith("make "))
    assert check == 'make release-check TAG="$GITHUB_REF_NAME" ARGS=--strict'


def test_release_publishes_each_image() -> None:
    """Each image is published, for both processors, with its origin and its bill of materials."""
    job = jobs_of("release.yml")["images"]
    assert set(job["strategy"]["matrix"]["target"]) == set(IMAGES)
    (build,) = (step["with"] for step in job["steps"] if step.get("id") == "build")
    assert build["platforms"] == "linux/amd64,linux/arm64"
    assert (build["provenance"], build["sbom"]) == ("mode=max", True)
    assert "push=true" in build["outputs"]


def test_package_is_published_without_a_password() -> None:
    """The package index trusts the workflow: there is no secret."""
    assert "secrets." not in WORKFLOWS["release.yml"]
    job = jobs_of("release.yml")["package"]
    assert (job["environment"], job["permissions"]) == ("pypi", {"id-token": "write"})
    assert job["steps"][-1]["with"] == {"packages-dir": "dist/packages"}


def test_app_is_where_the_release_puts_it() -> None:
    """The Supervisor gets the app's image from where the release puts it."""
    app = yaml.safe_load((ROOT / "integrations/home_assistant_app/config.yaml").read_text(encoding="utf-8"))
    owner = app["url"].split("/")[3]
    image = jobs_of("release.yml")["images"]["env"]["IMAGE"]
    for expression, value in {"github.repository_owner": owner, "matrix.target": "weighbridge-app"}.items():
        image = image.replace(f"${{{{ {expression} }}}}", value)
    assert app["image"] == image
