"""What is shipped for a Windows parses and agrees with what the program expects there; a wrong setting is named."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from sdk_fallback import windows
from sdk_fallback.cli import UNUSABLE
from sdk_fallback.settings import PROXMOX, WINRM
from tests.sdk_command import sdk

FOLDER = Path(windows.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SETUP = (FOLDER / "setup.ps1").read_text(encoding="utf-8")


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


@pytest.mark.parametrize("name", ["bootstrap.ps1", "setup.ps1"])
def test_a_script_is_powershell(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not parsed(text).has_error
    assert parsed(text + "\nif (").has_error


def test_the_command_of_the_unattended_installation_is_powershell_and_calls_the_setup() -> None:
    tree = ElementTree.parse(FOLDER / "autounattend.xml")  # our own file
    lines = [node.text or "" for node in tree.iter() if node.tag.endswith("CommandLine")]
    script = re.fullmatch(r'powershell .* -Command "(.*)"', lines[0])
    assert script
    assert not parsed(script[1]).has_error
    (call,) = re.findall(r"& \(\$cd \+ 'setup\.ps1'\)(.*)", script[1])
    named = set(re.findall(r"-([A-Z]\w+) \(", call))
    assert named == {"Jar", "Jre", "GuestAgent"} <= set(re.findall(r"\[string\] \$(\w+)", SETUP))


def test_setup_puts_things_where_the_script_looks_for_them() -> None:
    (home,) = re.findall(r"\$home_ = '(.*)'", SETUP)
    assert rf"{home}\FitCSVTool.jar" == windows.JAR
    assert f"$jar = '{windows.JAR}'" in windows.script()
    assert rf"$java = '{home}\jre\bin\java.exe'" in windows.script()
    assert r'"$home_\FitCSVTool.jar"' in SETUP
    assert r'"$home_\jre"' in SETUP


def test_the_page_explains_each_setting_as_the_program_does() -> None:
    explained = re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE)
    assert explained == [(variable.name, variable.meaning) for variable in (*WINRM, *PROXMOX)]


def test_the_page_names_only_files_that_are_there_and_says_what_was_not_run() -> None:
    for name in re.findall(r"\]\(([\w.]+)\)", README):
        assert (FOLDER / name).is_file()
    assert "PowerShell itself was not executed" in README


# --- the script ---


def test_the_script_is_short_enough_for_cmd() -> None:
    assert len(windows.script()) < 3000
    assert len(windows.command_line()) < windows.LONGEST_COMMAND_LINE


def test_what_is_sent_of_the_script_is_plain_ascii_without_remarks() -> None:
    assert windows.script().isascii()
    assert not re.search(r"^\s|#", windows.script(), re.MULTILINE)


def test_every_fault_that_the_script_names_has_its_sentence() -> None:
    thrown = set(re.findall(r"throw '([\w-]+)'|fault = '([\w-]+)'", windows.script()))
    assert {one or other for one, other in thrown} == set(windows.FAULTS)


# --- the settings ---


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"WINRM_HOST": ""}, "No Windows machine is configured. Set WINRM_HOST"),
        ({"WINRM_HOST": "a/b"}, "WINRM_HOST must be a name"),
        ({"WINRM_HOST": "a:b"}, "WINRM_HOST must be a name"),
        ({"WINRM_USER": ""}, "WINRM_USER is not set. The account that setup.ps1 created."),
        ({"WINRM_PASSWORD": ""}, "WINRM_PASSWORD is not set. The password of that account."),
        ({"WINRM_PASSWORD_FILE": "/nowhere"}, "The file that WINRM_PASSWORD_FILE names cannot be read"),
        ({"WINRM_CA": ""}, "WINRM_CA is not set"),
        ({"WINRM_CA": "/nowhere"}, "WINRM_CA (/nowhere) cannot be used (No such file"),
        ({"WINRM_CA": __file__}, "cannot be used (not a PEM file)"),
    ],
)
def test_a_winrm_setting_that_cannot_be_used_is_named(changes: dict[str, str], words: str, tmp_path: Path) -> None:
    right = {"WINRM_HOST": "vm", "WINRM_USER": "anna", "WINRM_PASSWORD": "planted-secret", "WINRM_CA": str(tmp_path)}
    done = sdk(["verify", "--on", "windows"], right | changes)
    assert (done.exit_code, done.stdout) == (UNUSABLE, "")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "planted" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PROXMOX_HOST", "https://pve", "PROXMOX_HOST must be a name"),
        ("PROXMOX_HOST", "pve:many", "PROXMOX_HOST must be a name"),
        ("PROXMOX_TOKEN", "", "PROXMOX_TOKEN is not set. An API token, user@realm!name=value."),
        ("PROXMOX_TOKEN", "planted-secret", "PROXMOX_TOKEN must be an API token as Proxmox shows it"),
        ("PROXMOX_NODE", "", "PROXMOX_NODE is not set"),
        ("PROXMOX_VM", "windows", "PROXMOX_VM must be the number"),
        ("PROXMOX_CA", "/nowhere.pem", "PROXMOX_CA (/nowhere.pem) cannot be used"),
    ],
)
def test_a_proxmox_setting_that_cannot_be_used_is_named(name: str, value: str, words: str) -> None:
    right = {"PROXMOX_HOST": "pve", "PROXMOX_TOKEN": "a@pve!b=c", "PROXMOX_NODE": "pve", "PROXMOX_VM": "105"}
    done = sdk(["doctor"], right | {name: value})
    assert (done.exit_code, done.stdout) == (UNUSABLE, "")
    assert words in done.stderr
    assert "planted" not in done.stderr


def test_every_setting_that_is_wrong_is_named_at_once() -> None:
    done = sdk(["doctor"], {"WINRM_HOST": "a/b", "WINRM_CA": "/nowhere"})
    for name in ("WINRM_HOST", "WINRM_USER", "WINRM_PASSWORD", "WINRM_CA"):
        assert name in done.stderr
