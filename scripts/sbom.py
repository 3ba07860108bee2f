"""`make sbom`: the lock files -> bills of materials (CycloneDX 1.6) of the wheel and of each image, into dist/.

    weighbridge-VERSION.cdx.json   each package that any part of the wheel can bring, for each system and Python
    image-IMAGE-VERSION.cdx.json   each package of Python in an image, for its Python

Rule: what an image leaves out is read from the same file as its build reads it from. So a bill names what is in the
image, and tests/e2e/test_containers.py compares the two.

Facts: each package has its version and the hashes of its files. The tool that writes a bill checks it against the
schema.

Weakness: a bill does not say which package needs which, or their licenses (docs/reference/licenses.md does): neither is
in a lock file. It names nothing of Debian, Chromium or Python itself, which come from the base image and from apt.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

from weighbridge import __version__

ROOT = Path(__file__).parent.parent
CYCLONEDX = ROOT / ".venv-supply/bin/cyclonedx-py"
EVERYTHING = ("requirements.txt", "requirements-form.txt", "requirements-browser.txt")


class Part(NamedTuple):
    """What is installed together: lock files, and the file that lists what is left out of them."""

    locks: Sequence[str]
    unused: str


PROGRAMS = Part(("requirements.txt",), "unused.txt")
FORM = Part(("requirements.txt", "requirements-form.txt"), "unused-form.txt")
IMAGES: Mapping[str, Sequence[Part]] = {
    "weighbridge": (PROGRAMS,),
    "weighbridge-browser": (Part(("requirements.txt", "requirements-browser.txt"), "unused.txt"),),
    "weighbridge-form": (FORM,),
    "weighbridge-app": (PROGRAMS, FORM),
}


def pins_in(*locks: str) -> Iterator[tuple[Requirement, str]]:
    """Each pin of these lock files, with its lines: the hashes are in them."""
    for lock in locks:
        for lines in re.findall(r"(?m)^[a-z0-9](?:.*\\\n)*.*$", (ROOT / lock).read_text(encoding="utf-8")):
            yield Requirement(lines.partition("\\")[0]), lines


def unused(part: Part) -> set[str]:
    """The packages that are left out."""
    text = (ROOT / "integrations/containers" / part.unused).read_text(encoding="utf-8")
    return {line for line in text.splitlines() if line and not line.startswith("#")}


def pins_of(image: Sequence[Part]) -> list[tuple[Requirement, str]]:
    """The pins that are in an image. None of their conditions is about the processor."""
    there = on_linux(python_of_the_images())
    found = {
        pin.name: (pin, lines)
        for part in image
        for pin, lines in pins_in(*part.locks)
        if pin.name not in unused(part) and (not pin.marker or pin.marker.evaluate(there))
    }
    return list(found.values())


def python_of_the_images() -> str:
    """Such as "3.13"."""
    found = re.search(r"(?m)^ARG PYTHON=python:(3\.\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    if not found:
        raise LookupError("The Dockerfile has no ARG PYTHON")
    return found[1]


def on_linux(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def write(target: Path, name: str, lines: Sequence[str]) -> None:
    """Write a bill of what these lines of lock files pin. Raises `CalledProcessError`."""
    target.parent.mkdir(exist_ok=True)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    # The tool reads what it is a bill of only from such a file.
    project = project.replace('dynamic = ["version", "readme"]', f'version = "{__version__}"')
    project = project.replace('name = "weighbridge"', f'name = "{name}"', 1)
    with tempfile.TemporaryDirectory() as folder:
        about = Path(folder) / "pyproject.toml"
        about.write_text(project, encoding="utf-8")
        command = [str(CYCLONEDX), "requirements", "--pyproject", str(about), "--mc-type", "application"]
        subprocess.run(
            [*command, "--spec-version", "1.6", "--output-reproducible", "--validate", "--output-file", target, "-"],
            input="\n".join(lines).encode(),
            # The tool warns that there is no graph, each time.
            env={"PYTHONWARNINGS": "ignore:The Component this BOM"},
            check=True,
        )


def main(folder: Path = ROOT / "dist") -> None:
    bills = {folder / f"weighbridge-{__version__}.cdx.json": ("weighbridge", list(pins_in(*EVERYTHING)))}
    for name, image in IMAGES.items():
        bills[folder / f"image-{name}-{__version__}.cdx.json"] = (name, pins_of(image))
    # Each takes a processor for seconds: to compare a bill with the schema takes longest.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        writing = {
            target: pool.submit(write, target, name, [lines for _, lines in pins])
            for target, (name, pins) in bills.items()
        }
    for target, written in writing.items():
        try:
            written.result()
        except subprocess.CalledProcessError as e:
            sys.exit(f"{target.name} could not be written: cyclonedx-py ended with {e.returncode}.")
        print(f"Written and valid: {target.relative_to(folder.parent)}")


if __name__ == "__main__":
    main()
