"""Have our libraries changed anything that we rely on?

Strategy: download the newest release of each library, without installing it, and read its source. None of its code
runs, so a release for another Python can be read too. For each name in upstream.toml, compare the signature and a
fingerprint of the source with the last review. A change is not a fault; it shows what to review before the pin is
raised. (griffe compares the signatures of two releases, but not their bodies, which matter more here.)

Weakness: only the named functions are compared. A change in a function that they call goes unnoticed.

    python -m scripts.check_upstream            exit code 0: nothing changed, 1: something did, 2: no answer
    python -m scripts.check_upstream --write    accept the result, after a review
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

KNOWN = Path(__file__).with_name("upstream.toml")


class Library(NamedTuple):
    name: str
    #: The Python version to download for.
    python: str
    #: The release that was reviewed last.
    version: str
    #: "file:name" -> signature and fingerprint.
    names: Mapping[str, str]


class Wheel(NamedTuple):
    version: str
    files: Mapping[str, str]


class NotFetched(Exception):
    """pip could not download the library; the message is pip's."""


def main(arguments: Sequence[str] | None = None, *, fetch: Callable[[Library], Wheel] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.check_upstream", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="accept the result, after a review")
    parser.add_argument("--known", type=Path, default=KNOWN, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    found: list[Library] = []
    changed = 0
    for library in read_known(options.known.read_text(encoding="utf-8")):
        try:
            wheel = (fetch or newest)(library)
        except NotFetched as e:
            print(f"{library.name} could not be downloaded: {e}", file=sys.stderr)
            return 2
        now = library._replace(version=wheel.version, names={name: look(wheel, name) for name in library.names})
        found.append(now)
        changes = list(differences(library, now))
        changed += len(changes)
        release = "" if wheel.version == library.version else f", and {wheel.version} is out"
        print(f"{library.name} {library.version}{release}: " + ("changed" if changes else "unchanged"))
        for change in changes:
            print(textwrap.indent(change, "  "))
    if options.write:
        options.known.write_text(written(found), encoding="utf-8")
        print(f"Written to {options.known.name}.")
        return 0
    return int(bool(changed))


def differences(known: Library, now: Library) -> Iterator[str]:
    """A sentence for each difference."""
    for name, then in known.names.items():
        if now.names[name] == then:
            continue
        if not now.names[name]:
            yield f"{name} is gone"
        elif now.names[name].rpartition(" #")[0] != then.rpartition(" #")[0]:
            yield f"{name} was {then.rpartition(' #')[0]}\n  and is {now.names[name].rpartition(' #')[0]}"
        else:
            yield f"{name} has a new body: review it"


def look(wheel: Wheel, name: str) -> str:
    """The signature (or value) of a name, and the fingerprint of its source; "" if the name does not exist."""
    file, _, path = name.partition(":")
    source = wheel.files.get(file)
    if source is None:
        return ""
    nodes: Sequence[ast.stmt] = ast.parse(source).body
    node: ast.stmt | None = None
    for part in path.split("."):
        node = next((each for each in nodes if part in _names(each)), None)
        if node is None:
            return ""
        nodes = getattr(node, "body", [])
    if node is None:
        return ""
    lines = (ast.get_source_segment(source, node) or "").splitlines()
    fingerprint = hashlib.sha256("\n".join(line.strip() for line in lines).encode()).hexdigest()[:12]
    return f"{_signature(node)} #{fingerprint}"


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _signature(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        # Names alone: an annotation changes nothing for a caller.
        names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
        names += [a.arg for a in arguments.kwonlyargs]
        names += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
        return f"({', '.join(names)})"
    if isinstance(node, ast.ClassDef):
        return f"class({', '.join(ast.unparse(base) for base in node.bases)})"
    return ast.unparse(node)


# -- the index, and the file ---------------------------------------------------------------------------------


def newest(library: Library) -> Wheel:
    """The newest release that pip finds. Raises `NotFetched`."""
    with tempfile.TemporaryDirectory() as folder:
        options = ("--no-deps", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:")
        command = (
            "-m",
            "pip",
            "download",
            *options,
            "--python-version",
            library.python,
            "--dest",
            folder,
            library.name,
        )
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            raise NotFetched((done.stderr.strip().splitlines() or ["pip printed nothing"])[-1])
        return read_wheel(wheels[0].name, wheels[0].read_bytes())


def read_wheel(file_name: str, content: bytes) -> Wheel:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".py")}
    return Wheel(file_name.split("-")[1], files)


def read_known(text: str) -> list[Library]:
    return [
        Library(name, str(entry["python"]), str(entry["version"]), dict(entry["names"]))
        for name, entry in tomllib.loads(text).items()
    ]


def written(libraries: Sequence[Library]) -> str:
    parts = ["# The parts of our libraries that we rely on and that may change: python -m scripts.check_upstream\n"]
    for library in libraries:
        parts.append(f'[{library.name}]\npython = "{library.python}"\nversion = "{library.version}"\n')
        parts.append(f"[{library.name}.names]")
        # A JSON text is a TOML text too.
        parts += [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in library.names.items()]
        parts.append("")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
