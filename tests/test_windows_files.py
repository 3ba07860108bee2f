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
    named = set(re.findall(r"-([A-Z]\w+) [($]", call))
    assert named == {"Jar", "Jre", "Virtio"} <= set(re.findall(r"\[string\] \$(\w+)", SETUP))


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
    explained = re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", README, re.MULTILINE)
    assert explained == [(variable.name, variable.meaning) for variable in (*WINRM, *PROXMOX)]


#: A command of Proxmox -> its call of the API (man qm, pveum, pvesm), with the names of its positional arguments.
CALLS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "qm create": ("POST", "/nodes/pve/qemu", ("vmid",)),
    "qm set": ("POST", "/nodes/pve/qemu/105/config", ("vmid",)),
    "qm start": ("POST", "/nodes/pve/qemu/105/status/start", ("vmid",)),
    "qm shutdown": ("POST", "/nodes/pve/qemu/105/status/shutdown", ("vmid",)),
    "qm agent": ("POST", "/nodes/pve/qemu/105/agent", ("vmid", "command")),
    "qm destroy": ("DELETE", "/nodes/pve/qemu/105", ("vmid",)),
    "pvesh get /cluster/nextid": ("GET", "/cluster/nextid", ()),
    "pvesm status": ("GET", "/nodes/pve/storage", ()),
    "pvesm list": ("GET", "/nodes/pve/storage/local/content", ("storage",)),
    "pvesm free": ("DELETE", "/nodes/pve/storage/local/content/x", ("volume",)),
    "pveum user add": ("POST", "/access/users", ("userid",)),
    "pveum role add": ("POST", "/access/roles", ("roleid",)),
    "pveum acl modify": ("PUT", "/access/acl", ("path",)),
    "pveum user token add": ("POST", "/access/users/x/token/x", ("userid", "tokenid")),
}


def proxmox_commands() -> list[str]:
    """The commands for the shell of Proxmox on the page, each on one line."""
    text = README.replace("\\\n", " ")
    lines = re.findall(r"^# ((?:qm|pvesm|pveum|pvesh) .*)$", text, re.MULTILINE)
    return [*lines, *re.findall(r"`((?:qm|pvesm|pveum|pvesh) \w+ [^`]+)`", text)]


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


# --- the answers to Windows Setup ---

#: The passes of Windows Setup that an answer file can name, in their order.
PASSES = ["windowsPE", "offlineServicing", "generalize", "specialize", "auditSystem", "auditUser", "oobeSystem"]
LANGUAGE = ["InputLocale", "SystemLocale", "UILanguage", "UserLocale"]
#: Pass -> component -> what it must have, or Windows asks a person (Unattended Windows Setup Reference). Microsoft's
#: schema is only to be had inside its ADK.
NEEDED = {
    "windowsPE": {
        "Microsoft-Windows-International-Core-WinPE": ["SetupUILanguage/UILanguage", *LANGUAGE],
        "Microsoft-Windows-Setup": [
            "DiskConfiguration/Disk/DiskID",
            "ImageInstall/OSImage/InstallTo/DiskID",
            "ImageInstall/OSImage/InstallTo/PartitionID",
            "UserData/AcceptEula",
            "UserData/ProductKey/WillShowUI",
        ],
    },
    "specialize": {
        "Microsoft-Windows-Shell-Setup": ["ComputerName"],
        "Microsoft-Windows-Deployment": ["RunSynchronous/RunSynchronousCommand/Path"],
    },
    "oobeSystem": {
        "Microsoft-Windows-International-Core": LANGUAGE,
        "Microsoft-Windows-Shell-Setup": [
            "OOBE/HideEULAPage",
            "OOBE/HideOnlineAccountScreens",
            "OOBE/HideWirelessSetupInOOBE",
            "OOBE/ProtectYourPC",
            "UserAccounts/LocalAccounts/LocalAccount/Name",
            "AutoLogon/Username",
            "FirstLogonCommands/SynchronousCommand/CommandLine",
        ],
    },
}
#: The longest text that Windows takes.
LONGEST = {"CommandLine": 1024, "Path": 259, "Description": 259, "Name": 20, "ComputerName": 15, "Label": 32}


@pytest.fixture
def answers() -> ElementTree.Element:
    """autounattend.xml, without its namespace."""
    root = ElementTree.parse(FOLDER / "autounattend.xml").getroot()  # our own file
    for node in root.iter():
        space, _, node.tag = node.tag.rpartition("}")
        assert space == "{urn:schemas-microsoft-com:unattend"
    return root


def test_every_question_is_answered(answers: ElementTree.Element) -> None:
    """Each pass has the components and settings without which Windows asks a person, and no other component."""
    assert [(node.tag, list(node.attrib)) for node in answers] == [("settings", ["pass"])] * len(NEEDED)
    found = {settings.get("pass"): {component.get("name"): component for component in settings} for settings in answers}
    assert list(found) == [name for name in PASSES if name in NEEDED]
    for name, components in NEEDED.items():
        assert found[name].keys() == components.keys()
        for component, needed in components.items():
            for path in needed:
                assert found[name][component].findtext(path), f"{component} in {name} has no {path}"


def test_windows_knows_each_component(answers: ElementTree.Element) -> None:
    """Each component has the attributes by which Windows finds it; with another one, it is ignored silently."""
    for component in answers.findall("settings/component"):
        assert {name: value for name, value in component.attrib.items() if name != "name"} == {
            "processorArchitecture": "amd64",
            "publicKeyToken": "31bf3856ad364e35",
            "language": "neutral",
            "versionScope": "nonSxS",
        }


def test_lists_are_in_order(answers: ElementTree.Element) -> None:
    """Each item of a list is added, the orders in it count from 1, and no text is longer than Windows takes."""
    add = "{http://schemas.microsoft.com/WMIConfig/2002/State}action"
    items = {"Disk", "CreatePartition", "ModifyPartition", "MetaData", "LocalAccount"}
    items |= {"SynchronousCommand", "RunSynchronousCommand"}
    for parent in answers.iter():
        orders = [child.findtext("Order") for child in parent if child.find("Order") is not None]
        assert orders == [str(number + 1) for number in range(len(orders))]
        for child in parent:
            assert child.get(add) == ("add" if child.tag in items else None)
            assert len(child.text or "") <= LONGEST.get(child.tag, 1024)


def test_one_language_throughout(answers: ElementTree.Element) -> None:
    """The language of the installation is also that of the first start, so the page can name one tag to replace."""
    tags = {node.text for node in answers.iter() if node.tag in LANGUAGE}
    assert tags == {"en-US"}
    assert "replace each `en-US`" in README


def test_two_passwords_to_replace(answers: ElementTree.Element) -> None:
    """The account of the installation signs in by itself, once, with the password that the page has replaced."""
    assert (FOLDER / "autounattend.xml").read_text(encoding="utf-8").count("CHANGE-ME") == 2
    account, logon = answers.find(".//LocalAccount"), answers.find(".//AutoLogon")
    assert account is not None
    assert logon is not None
    assert account.findtext("Password/Value") == logon.findtext("Password/Value") == "CHANGE-ME"
    assert account.findtext("Name") == logon.findtext("Username") == "setup"
    assert logon.findtext("LogonCount") == "1"
    assert "the user `setup`" in README


def test_windows_goes_where_its_partition_is(answers: ElementTree.Element) -> None:
    """The unattended installation makes the partitions of UEFI, and installs Windows on the one that is drive C."""
    assert [node.findtext("Type") for node in answers.iter("CreatePartition")] == ["EFI", "MSR", "Primary"]
    (drive_c,) = [node for node in answers.iter("ModifyPartition") if node.findtext("Letter") == "C"]
    (target,) = answers.iter("InstallTo")
    assert target.findtext("PartitionID") == drive_c.findtext("PartitionID") == "3"


def test_page_has_no_dead_end() -> None:
    """The page has no link that opens only in a copy of the repository, and says what was not run."""
    assert re.findall(r"\]\((?!https://|#)[^)]*\)", README) == []
    assert "PowerShell itself was not executed" in README


def test_setup_is_ascii() -> None:
    """setup.ps1 is ASCII: Windows PowerShell reads a file without a byte order mark in the local code page."""
    assert SETUP.isascii()


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
