"""What is shipped for a Windows: it parses, and it agrees with what the program expects there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from sdk_fallback import windows

FOLDER = Path(windows.__file__).parent
PACKAGE = FOLDER.parent
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


def test_the_page_explains_each_setting_that_is_read() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    read = set(re.findall(r'"((?:WINRM|PROXMOX)_[A-Z]+)"', code))
    assert read == set(re.findall(r"^\| `(\w+)`", README, re.MULTILINE))


def test_the_page_names_only_files_that_are_there_and_says_what_was_not_run() -> None:
    for name in re.findall(r"\]\(([\w.]+)\)", README):
        assert (FOLDER / name).is_file()
    assert "PowerShell itself was not executed" in README
