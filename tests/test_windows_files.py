"""The files for Windows parse, and agree with the program; an unusable setting is named."""

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
def test_scripts_are_powershell(name: str) -> None:
    """Each shipped script parses as PowerShell."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert not parsed(text).has_error
    assert parsed(text + "\nif (").has_error


def test_unattended_command() -> None:
    """The command of the unattended installation is PowerShell, and calls setup.ps1 with its parameters."""
    tree = ElementTree.parse(FOLDER / "autounattend.xml")  # our own file
    lines = [node.text or "" for node in tree.iter() if node.tag.endswith("CommandLine")]
    script = re.fullmatch(r'powershell .* -Command "(.*)"', lines[0])
    assert script
    assert not parsed(script[1]).has_error
    (call,) = re.findall(r"& \(\$cd \+ 'setup\.ps1'\)(.*)", script[1])
    named = set(re.findall(r"-([A-Z]\w+) \(", call))
    assert named == {"Jar", "Jre", "GuestAgent"} <= set(re.findall(r"\[string\] \$(\w+)", SETUP))


def test_setup_and_script_agree_on_paths() -> None:
    """setup.ps1 puts the jar and Java where bootstrap.ps1 looks for them."""
    (home,) = re.findall(r"\$home_ = '(.*)'", SETUP)
    assert rf"{home}\FitCSVTool.jar" == windows.JAR
    assert f"$jar = '{windows.JAR}'" in windows.script()
    assert rf"$java = '{home}\jre\bin\java.exe'" in windows.script()
    assert r'"$home_\FitCSVTool.jar"' in SETUP
    assert r'"$home_\jre"' in SETUP


def test_page_lists_the_settings() -> None:
    """The page explains each setting in the words of the program."""
    explained = re.findall(r"^\| `(\w+)` \| (.*) \|$", README, re.MULTILINE)
    assert explained == [(variable.name, variable.meaning) for variable in (*WINRM, *PROXMOX)]


def test_page_names_existing_files() -> None:
    """The page links only to files that exist, and says what was not run."""
    for name in re.findall(r"\]\(([\w.]+)\)", README):
        assert (FOLDER / name).is_file()
    assert "PowerShell itself was not executed" in README


# --- the script ---


def test_script_fits_on_a_command_line() -> None:
    """The script and its command line are short enough for cmd.exe."""
    assert len(windows.script()) < 3000
    assert len(windows.command_line()) < windows.LONGEST_COMMAND_LINE


def test_script_is_ascii_without_comments() -> None:
    """The script is sent as plain ASCII, without comments or indentation."""
    assert windows.script().isascii()
    assert not re.search(r"^\s|#", windows.script(), re.MULTILINE)


def test_every_fault_has_a_sentence() -> None:
    """Every fault that the script names has a sentence, and there is no other sentence."""
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
        ({"WINRM_PASSWORD_FILE": "/nowhere"}, "The file named by WINRM_PASSWORD_FILE cannot be read"),
        ({"WINRM_CA": ""}, "WINRM_CA is not set"),
        ({"WINRM_CA": "/nowhere"}, "WINRM_CA (/nowhere) cannot be used (No such file"),
        ({"WINRM_CA": __file__}, "cannot be used (not a PEM file)"),
    ],
)
def test_unusable_winrm_setting(changes: dict[str, str], words: str, tmp_path: Path) -> None:
    """An unusable WinRM setting is named in one sentence, without the password."""
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
def test_unusable_proxmox_setting(name: str, value: str, words: str) -> None:
    """An unusable Proxmox setting is named, without the token."""
    right = {"PROXMOX_HOST": "pve", "PROXMOX_TOKEN": "a@pve!b=c", "PROXMOX_NODE": "pve", "PROXMOX_VM": "105"}
    done = sdk(["doctor"], right | {name: value})
    assert (done.exit_code, done.stdout) == (UNUSABLE, "")
    assert words in done.stderr
    assert "planted" not in done.stderr


def test_all_wrong_settings_at_once() -> None:
    """All wrong settings are named at once."""
    done = sdk(["doctor"], {"WINRM_HOST": "a/b", "WINRM_CA": "/nowhere"})
    for name in ("WINRM_HOST", "WINRM_USER", "WINRM_PASSWORD", "WINRM_CA"):
        assert name in done.stderr
