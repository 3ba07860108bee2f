"""The page about Windows can be followed by someone who has nothing but the page.

Strategy: read the page from top to bottom, as its reader does, with three machines whose files are known: the reader's
computer ($), Proxmox (#) and Windows (PS>). A command may use only what an earlier command, or a sentence, has put
there. A program that `Reader` does not know fails the test, so a new command needs a rule here.

Weakness: no command for Proxmox or Windows runs. Those for Proxmox are checked by tests/test_windows_files.py.
"""

from __future__ import annotations

import base64
import os
import posixpath
import re
import shlex
import ssl
import subprocess
import threading
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from sdk_fallback import windows
from sdk_fallback.settings import PROXMOX, WINRM
from tests.e2e.windows.certificate import self_signed

FOLDER = Path(windows.__file__).parent
ROOT = FOLDER.parent.parent
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
SETUP = (FOLDER / "setup.ps1").read_text(encoding="utf-8")

PROMPT = re.compile(r"(\$|#|PS>) (.*)")
ISOS = "/var/lib/vz/template/iso"
#: What a sentence has the reader put somewhere -> the sentence.
BY_HAND = {
    ("$", "~/Downloads/FitSDKRelease_21.zip"): "Download [Garmin's FIT SDK]",
    ("PS>", r"$HOME\Downloads\FitCSVTool.jar"): r"copy `java\FitCSVTool.jar` to *Downloads*",
    ("PS>", "D:\\"): "attach the CD of the drivers",
    # The unattended installation runs setup.ps1, which leaves itself there.
    ("PS>", r"C:\weighbridge\setup.ps1"): "`setup.ps1` installs the rest",
}
#: What Proxmox comes with.
ON_PROXMOX = {"/root", ISOS, "/etc/pve/pve-root-ca.pem"}


class Block(NamedTuple):
    """A block of commands, with what the page says before and after it."""

    before: str
    #: (prompt, command)
    commands: list[tuple[str, str]]
    output: list[str]
    after: str

    @property
    def name(self) -> str:
        return self.commands[0][1].split(" /")[0][:40]


def blocks(page: str) -> list[Block]:
    found = []
    for match in re.finditer(r"```console\n(.*?)```\n", page.replace(" \\\n", " "), re.DOTALL):
        lines = match[1].splitlines()
        prompted = [PROMPT.fullmatch(line) for line in lines]
        after = match.string[match.end() :].strip()
        found.append(
            Block(
                re.sub(r"```.*?```", "", match.string[: match.start()], flags=re.DOTALL),
                [(line[1], line[2]) for line in prompted if line],
                [line for line, command in zip(lines, prompted, strict=True) if not command],
                "" if after.startswith(("```", "#")) else after.split("\n\n")[0],
            )
        )
    return found


BLOCKS = blocks(PAGE)
COMMANDS = [command for block in BLOCKS for command in block.commands]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)


class Reader:
    """Someone who follows the page. Collects in `missing` what was used and is not there."""

    def __init__(self) -> None:
        self.files: dict[str, set[str]] = {"$": {"~", "~/Downloads"}, "#": set(ON_PROXMOX), "PS>": {r"$HOME\Downloads"}}
        self.folder = {"$": "~", "#": "/root", "PS>": r"C:\Windows"}
        self.variables: dict[str, str] = {}
        self.missing: list[str] = []
        self.machine = "$"

    def follow(self, block: Block) -> None:
        for (machine, path), sentence in BY_HAND.items():
            if sentence in block.before:
                self.files[machine].add(path)
        for self.machine, line in block.commands:
            for part in re.split(r" \| |; ", line.strip("()")):
                self.run(part)

    def run(self, line: str) -> None:
        for path in re.findall(r"(?<!2)> (\S+)", line):
            self.make(path)
        posix = self.machine != "PS>"
        words = shlex.split(re.sub(r"\s\d?[<>]\s?\S+", "", line), posix=posix)
        program, words = words[0].replace(".", "_").replace("/", "_"), words[1:]
        rule = getattr(self, f"do_{program}", None)
        assert rule, f"no rule for {line}"
        rule(words)

    def path(self, path: str) -> str:
        if self.machine == "PS>":
            return path if ":" in path else rf"{self.folder['PS>']}\{path.removeprefix('.' + chr(92))}"
        return posixpath.normpath(path if path[0] in "~/" else f"{self.folder[self.machine]}/{path}")

    def make(self, path: str) -> None:
        self.files[self.machine].add(self.path(path))

    def need(self, path: str) -> str:
        full = self.path(path)
        if not any(fnmatch(there, full) for there in self.files[self.machine]) and not self.in_clone(full):
            self.missing.append(f"{self.machine} {full}")
        return full

    def in_clone(self, full: str) -> bool:
        """Whether it came with `git clone`."""
        cloned = "~/weighbridge" in self.files["$"] and self.machine == "$"
        return cloned and full.startswith("~/weighbridge/") and (ROOT / full.removeprefix("~/weighbridge/")).is_file()

    def take(self, words: list[str], option: str) -> str:
        """The value of an option, which is removed with it."""
        at = words.index(option)
        value = words[at + 1]
        del words[at : at + 2]
        return value

    # --- the programs ---

    def do_cd(self, words: list[str]) -> None:
        self.folder[self.machine] = words[0] if self.machine == "PS>" else self.need(words[0])
        if self.machine == "PS>":
            assert words[0] in self.files["PS>"]

    def do_git(self, words: list[str]) -> None:
        assert words == ["clone", "https://github.com/weighbridge/weighbridge"]
        self.make("weighbridge")

    def do_mkdir(self, words: list[str]) -> None:
        self.make(words[0])

    def do_cp(self, words: list[str]) -> None:
        *sources, target = words
        self.need(target)
        for source in sources:
            self.need(source)
            self.make(f"{target}/{posixpath.basename(source)}")

    def do_rm(self, words: list[str]) -> None:
        removed = self.need(words[-1])
        self.files[self.machine] = {path for path in self.files[self.machine] if not path.startswith(removed)}

    def do_ls(self, words: list[str]) -> None:
        self.need(words[0])

    def do_curl(self, words: list[str]) -> None:
        self.make(words[1] if words[0] == "-Lo" else posixpath.basename(words[1]))

    do_curl_exe = do_curl

    def do_wget(self, words: list[str]) -> None:
        self.make(words[1] if words[0] == "-O" else posixpath.basename(words[0]))

    def do_unzip(self, words: list[str]) -> None:
        folder = self.take(words, "-d")
        self.need(folder)
        self.need(words[1])
        self.make(f"{folder}/{words[2].lstrip('*')}")

    def do_scp(self, words: list[str]) -> None:
        source, target = words[-2:]
        if ":" in source:
            self.machine = "#"
            self.need(source.partition(":")[2])
            self.machine = "$"
            self.make(target)
            return
        full, folder = self.need(source), target.partition(":")[2]
        for path in self.files["$"]:
            if path.startswith(full):
                self.files["#"].add(folder + posixpath.relpath(path, posixpath.dirname(full)))

    def do_genisoimage(self, words: list[str]) -> None:
        self.make(self.take(words, "-o"))
        self.need(words[-1])

    def volumes(self, words: list[str]) -> None:
        for name in re.findall(r"local:iso/([\w.-]+)", " ".join(words)):
            self.need(f"{ISOS}/{name}")

    do_qm = volumes

    def do_pvesm(self, words: list[str]) -> None:
        self.volumes(words)
        if words[0] == "free":
            self.do_rm([f"{ISOS}/{words[1].rpartition('/')[2]}"])

    def do_pveum(self, words: list[str]) -> None:
        """Checked by the schema."""

    do_pvesh = do_hostname = do_umask = do_cat = do_echo = do_pveum

    def do_sudo(self, words: list[str]) -> None:
        assert words == ["tee", "-a", "/etc/hosts"]

    def do_openssl(self, words: list[str]) -> None:
        if "-out" in words:
            self.make(self.take(words, "-out"))
        if "-in" in words:
            self.need(self.take(words, "-in"))

    def do_export(self, words: list[str]) -> None:
        for word in words:
            name, _, value = word.partition("=")
            self.variables[name] = value
            if name.endswith(("_CA", "_FILE")):
                self.need(value)

    def do_make(self, words: list[str]) -> None:
        assert words == ["verify-sdk"]
        self.need("Makefile")
        self.make(".venv/bin/weighbridge")

    def do__venv_bin_weighbridge(self, words: list[str]) -> None:
        assert words == ["sdk", "doctor"]
        self.need(".venv/bin/weighbridge")

    def do_powershell(self, words: list[str]) -> None:
        assert self.take(words, "-ExecutionPolicy") == "Bypass"
        script = self.take(words, "-File")
        self.need(script)
        options = dict(zip(words[::2], words[1::2], strict=True))
        assert {option.removeprefix("-") for option in options} <= set(re.findall(r"\[string\] \$(\w+)", SETUP))
        for option in ("-Jar", "-Jre", "-Virtio"):
            if option in options:
                self.need(options[option])


def follow(page: str) -> Reader:
    reader = Reader()
    for block in blocks(page):
        reader.follow(block)
    return reader


def test_each_file_was_made_before() -> None:
    """Each file that a command uses was downloaded, made or written by an earlier one, on the same machine."""
    assert follow(PAGE).missing == []


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [
        ("$ git clone https://github.com/weighbridge/weighbridge\n", "$ ~/weighbridge/sdk_fallback/windows/setup.ps1"),
        ("# wget -O windows.iso 'LINK'\n", f"# {ISOS}/windows.iso"),
        ("$ scp -r weighbridge-cd root@pve.home.arpa:/root/\n", "# /root/weighbridge-cd"),
        (
            "$ scp root@pve.home.arpa:/etc/pve/pve-root-ca.pem ~/.weighbridge-proxmox.pem\n",
            "$ ~/.weighbridge-proxmox.pem",
        ),
        ("$ (umask 077; cat > ~/.weighbridge-winrm)\n", "$ ~/.weighbridge-winrm"),
        ("Download [Garmin's FIT SDK]", "$ ~/Downloads/FitSDKRelease_*.zip"),
    ],
)
def test_a_step_left_out_is_found(left_out: str, missing: str) -> None:
    """The reader of this test notices a step that the page lacks."""
    assert left_out in PAGE
    assert missing in follow(PAGE.replace(left_out, "")).missing


def test_cd_has_what_setup_wants() -> None:
    """The page lists the CD as it becomes: with the files that the unattended installation takes from it."""
    command = (FOLDER / "autounattend.xml").read_text(encoding="utf-8")
    wanted = {*re.findall(r"\(\$cd \+ '([\w.]+)'\)", command), "autounattend.xml"}
    (listed,) = [block.output for block in BLOCKS if ("$", "ls weighbridge-cd") in block.commands]
    assert set(listed[-1].split()) == wanted
    reader = Reader()
    for block in BLOCKS[: 1 + [block.output for block in BLOCKS].index(listed)]:
        reader.follow(block)
    made = {posixpath.basename(path) for path in reader.files["$"] if path.startswith("~/weighbridge-cd/")}
    assert made == wanted


def test_each_variable_is_a_setting() -> None:
    """Before a check runs, each setting of its way is exported, and nothing else."""
    for settings, way in ((PROXMOX, "PROXMOX_HOST"), (WINRM, "WINRM_HOST")):
        exported: set[str] = set()
        (block,) = [block for block in BLOCKS if any(f"export {way}=" in line for _, line in block.commands)]
        for _, line in block.commands:
            exported |= set(re.findall(r"([A-Z_]+)=", line))
            if line == "make verify-sdk":
                assert {name.removesuffix("_FILE") for name in exported} == {variable.name for variable in settings}
                break
        else:
            pytest.fail("the settings are not used")
    assert set(re.findall(r"\$(\w+)", " ".join(line for _, line in COMMANDS))) == {"HOME"}


@each_block
def test_each_name_was_explained(block: Block) -> None:
    """Each host, address, placeholder, account, machine number and storage in a command was explained before it."""
    for _, line in block.commands:
        for name in re.findall(
            r"[\w-]+\.home\.arpa|192\.168\.\d+\.\d+|\bLINK\b|\b105\b|local-lvm|vmbr\d|\broot\b(?=@)", line
        ):
            assert f"`{name}`" in block.before, f"{name} in {line}"


@each_block
def test_each_block_says_what_one_sees(block: Block) -> None:
    """After each block the reader knows what should have happened: it shows output, or the next paragraph says it."""
    assert block.output or re.search(r"should see|ends with", block.after), block.commands


def test_accounts() -> None:
    """The account of WinRM is the one that setup.ps1 makes; the one for repairs is named where it is used."""
    (user,) = re.findall(r"\[string\] \$User = '(\w+)'", SETUP)
    assert follow(PAGE).variables["WINRM_USER"] == user
    for text in (
        "sign in to Windows in the *Console* as `setup`, with your password",
        "In the *Console*, sign in as `setup`",
    ):
        assert text in PAGE


def test_last_lines_of_setup() -> None:
    """The page shows the last lines of setup.ps1 as the script writes them."""
    shown = [line for block in BLOCKS for line in block.output]
    values = {"$Name": "windows.home.arpa", "$User": "weighbridge", "$home_": r"C:\weighbridge", "$sum": "3A:9F:…"}
    for text in re.findall(r"Write-Output ['\"](.*)['\"]|Read-Host \"(.*)\"", SETUP):
        line = "".join(text)
        for name, value in values.items():
            line = line.replace(name, value)
        assert any(one.startswith(line) for one in shown), line


@pytest.fixture
def windows_certificate(tmp_path: Path) -> Iterator[tuple[int, Path, bytes]]:
    """The port of a TLS server with a certificate like that of setup.ps1, the certificate, and its SHA-256."""
    (tmp_path / "there").mkdir()
    certificate, key, checksum = self_signed(tmp_path / "there", "windows.home.arpa")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port, certificate, checksum
        server.shutdown()
        thread.join()


def test_certificate_is_fetched_and_compared(windows_certificate: tuple[int, Path, bytes], tmp_path: Path) -> None:
    """The page's commands fetch the certificate of Windows, and print its SHA-256 as setup.ps1 does."""
    port, certificate, checksum = windows_certificate
    printed = ""
    for prompt, line in COMMANDS:
        if prompt == "$" and line.startswith("openssl"):
            command = line.replace("windows.home.arpa:5986", f"127.0.0.1:{port}")
            done = subprocess.run(
                ["bash", "-c", command],
                env=os.environ | {"HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=True,
            )
            printed += done.stdout
    fetched = (tmp_path / ".weighbridge-winrm.pem").read_text(encoding="ascii")
    assert decoded(fetched) == decoded(certificate.read_text(encoding="ascii"))
    # BitConverter.ToString, with colons for its hyphens.
    assert printed.strip().lower() == f"sha256 fingerprint={checksum.hex(':')}"
    assert printed.strip().endswith(checksum.hex(":").upper())


def decoded(pem: str) -> bytes:
    return base64.b64decode("".join(pem.splitlines()[1:-1]))
