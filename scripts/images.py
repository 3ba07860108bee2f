"""Whether the images can be built again, and elsewhere: a step of a release, which takes minutes.

    python -m scripts.images wheels             each package of each image has a wheel for amd64 and arm64, whose hash
                                                is in the lock file
    python -m scripts.images twice [TARGET …]   two builds from two copies of the sources have the same layers
    python -m scripts.images build [TARGET …]   build the images, with the labels that only a commit has
    … --python IMAGE                            use this image of Python, such as docker-archive:python.tar, where the
                                                registry cannot be reached

Rule: "the same" is said of the digests of all layers that the Dockerfile adds, not of a list of files.

Strategy: buildah builds, without a daemon and without a cache. The time of every file is that of the commit.

Weakness: what apt installs is the newest of that day. So `weighbridge-browser` is the same only for as long as Debian's
mirror is, and the others for as long as its `strip` is. `wheels` shows that a package can be installed on arm64, not
that it works there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.sbom import IMAGES, ROOT, pins_of, python_of_the_images
from weighbridge import __version__

#: The processor, as Docker and as Linux name it.
PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
#: The newest glibc that a wheel may ask for: that of Debian trixie is 2.41.
GLIBC = 41


def wheels() -> None:
    """Ask the package index for a wheel of each pin. Raises `SystemExit`."""
    pins = {pin.name: lines for image in IMAGES.values() for pin, lines in pins_of(image)}
    # The conditions are decided: pip would decide them for the Python and the processor that it runs on.
    asked = "\n".join(re.sub(r" *;[^\\\n]*", " ", lines) for lines in pins.values())
    python = python_of_the_images()
    for name, processor in PROCESSORS.items():
        with tempfile.TemporaryDirectory() as folder:
            requirements, report = Path(folder, "requirements.txt"), Path(folder, "report.json")
            requirements.write_text(asked, encoding="utf-8")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
            command += [
                "--ignore-installed",
                "--ignore-requires-python",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--require-hashes",
            ]
            command += ["--python-version", python, "--implementation", "cp", "--target", folder]
            command += ["--report", str(report), "--requirement", str(requirements)]
            for tag in (f"cp{python.replace('.', '')}", "abi3", "none"):
                command += ["--abi", tag]
            for tag in ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, GLIBC + 1))):
                command += ["--platform", f"{tag}_{processor}"]
            if subprocess.run(command, check=False).returncode:
                sys.exit(f"A package of an image has no wheel for {name} whose hash is in the lock file.")
            found = json.loads(report.read_text(encoding="utf-8"))["install"]
        native = [one for one in found if processor in one["download_info"]["url"]]
        if len(found) != len(pins):
            sys.exit(f"pip was asked about {len(pins)} packages, and found {len(found)}.")
        print(f"{name}: {len(found)} packages have a wheel whose hash is locked, {len(native)} of them for it alone.")


def twice(targets: Sequence[str], python: str) -> None:
    """Build each image from two copies of the sources. Raises `SystemExit` if a layer differs."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-twice-") as name:
        folder = Path(name)
        layers: list[dict[str, list[str]]] = []
        for number in ("first", "second"):
            # In another place, in another order, and with other times.
            context = folder / number / "context"
            for path in sorted(sources(), reverse=number == "second"):
                (context / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, context / path)
            with_store = store(folder / number)
            layers.append({target: built(with_store, target, context, python) for target in targets})
            subprocess.run([*with_store, "rmi", "--all", "--force"], check=True, stdout=subprocess.DEVNULL)
    for target in targets:
        first, second = (one[target] for one in layers)
        if first != second:
            sys.exit(f"{target}: built twice, and the layers differ:\n  {first}\n  {second}")
        print(f"{target}: built twice, and each of {len(first)} layers is the same. The last is {first[-1]}.")


def build(targets: Sequence[str], python: str) -> None:
    for target in targets:
        built(["buildah"], target, ROOT, python)
        print(f"Built: {target}:{__version__}")


def sources() -> list[str]:
    listed = git("ls-files", "-z")
    return [name for name in listed.split("\0") if (ROOT / name).is_file()]


def store(folder: Path) -> list[str]:
    return ["buildah", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]


def built(buildah: Sequence[str], target: str, context: Path, python: str) -> list[str]:
    """Build an image, with the time and the name of the commit. Returns the digests of its layers."""
    commit, time_s = git("rev-parse", "HEAD"), int(git("log", "-1", "--format=%ct"))
    command = [*buildah, "bud", "--quiet", "--isolation", "chroot", "--network", "host", "--format", "docker"]
    command += ["--timestamp", str(time_s), "--build-arg", f"SOURCE_DATE_EPOCH={time_s}", "--target", target]
    command += ["--label", f"org.opencontainers.image.created={datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"]
    command += ["--label", f"org.opencontainers.image.revision={commit}", "--tag", f"{target}:{__version__}"]
    if python:
        pulled = subprocess.run([*buildah, "pull", "--quiet", python], check=True, stdout=subprocess.PIPE, text=True)
        command += ["--build-arg", f"PYTHON={pulled.stdout.strip()}"]
    if certificates := os.environ.get("SSL_CERT_FILE"):  # where a proxy has its own
        command += ["--volume", f"{certificates}:/etc/ssl/certs/ca-certificates.crt:ro"]
    subprocess.run([*command, str(context)], check=True, stdout=subprocess.DEVNULL)
    inspect = [*buildah, "inspect", "--type", "image", f"{target}:{__version__}"]
    found = json.loads(subprocess.run(inspect, check=True, stdout=subprocess.PIPE).stdout)
    return [str(digest) for digest in found["Docker"]["rootfs"]["diff_ids"]]


def git(*command: str) -> str:
    run = subprocess.run(["git", *command], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S607
    return run.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["wheels", "twice", "build"])
    parser.add_argument("targets", nargs="*", default=["weighbridge"], metavar="TARGET")
    parser.add_argument("--python", default="", metavar="IMAGE")
    asked = parser.parse_args()
    if asked.what == "wheels":
        wheels()
    elif asked.what == "twice":
        twice(asked.targets, asked.python)
    else:
        build(asked.targets, asked.python)


if __name__ == "__main__":
    main()
