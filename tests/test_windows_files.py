"""The files for Windows parse, and agree with the program; an unusable setting is named."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tree_sitter_powershell
from fakepve import schema  # type: ignore[import-untyped]  # it ships no types
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


#: A command of Proxmox -> its call of the API (man qm, pveum, pvesm), with the names of its positional arguments.
CALLS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "qm create": ("POST", "/nodes/pve/qemu", ("vmid",)),
    "qm set": ("POST", "/nodes/pve/qemu/105/config", ("vmid",)),
    "qm start": ("POST", "/nodes/pve/qemu/105/status/start", ("vmid",)),
    "qm shutdown": ("POST", "/nodes/pve/qemu/105/status/shutdown", ("vmid",)),
    "qm agent": ("POST", "/nodes/pve/qemu/105/agent", ("vmid", "command")),
    "pvesm free": ("DELETE", "/nodes/pve/storage/local/content/x", ("volume",)),
    "pveum user add": ("POST", "/access/users", ("userid",)),
    "pveum role add": ("POST", "/access/roles", ("roleid",)),
    "pveum acl modify": ("PUT", "/access/acl", ("path",)),
    "pveum user token add": ("POST", "/access/users/x/token/x", ("userid", "tokenid")),
}


def proxmox_commands() -> list[str]:
    """The commands for the shell of Proxmox on the page, each on one line."""
    text = README.replace("\\\n", " ")
    lines = re.findall(r"^# ((?:qm|pvesm|pveum) .*)$", text, re.MULTILINE)
    return [*lines, *re.findall(r"`(qm set [^`]*)`", text)]


def faults(found: schema.Match, method: str, given: dict[str, str]) -> dict[str, str]:
    _, found_faults = schema.validate(found.methods[method]["parameters"], {**found.params, **given})
    return dict(found_faults)


@pytest.mark.parametrize("line", proxmox_commands())
def test_proxmox_takes_each_command(line: str) -> None:
    """The API of Proxmox has the call of each command on the page, and its schema takes the arguments."""
    command = max((name for name in CALLS if line.startswith(name)), key=len)
    method, path, positions = CALLS[command]
    words = shlex.split(line.removeprefix(command))
    found = schema.load().match(path)
    options = words[len(positions) :]
    given = {name.removeprefix("--"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    assert faults(found, method, dict(zip(positions, words, strict=False)) | given) == {}


def test_proxmox_refuses_a_wrong_argument() -> None:
    """The schema would find a slip: an unknown option, or a value that Proxmox does not have."""
    found = schema.load().match("/nodes/pve/qemu")
    assert faults(found, "POST", {"vmid": "105"}) == {}
    for wrong in ({"tpmstate0": "local-lvm:1,version=2"}, {"bios": "uefi"}, {"efidisk": "local-lvm:1"}):
        assert list(faults(found, "POST", {"vmid": "105"} | wrong)) == list(wrong)


def test_windows_goes_where_its_partition_is() -> None:
    """The unattended installation makes the partitions of UEFI, and installs Windows on the one that is drive C."""
    tree = ElementTree.parse(FOLDER / "autounattend.xml")
    for node in tree.iter():
        node.tag = node.tag.partition("}")[2]
    assert [node.findtext("Type") for node in tree.iter("CreatePartition")] == ["EFI", "MSR", "Primary"]
    (drive_c,) = [node for node in tree.iter("ModifyPartition") if node.findtext("Letter") == "C"]
    (target,) = tree.iter("InstallTo")
    assert target.findtext("PartitionID") == drive_c.findtext("PartitionID") == "3"


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
