"""weighbridge demo: a reading from start to finish, on one screen. Needs no account: the file is kept.

Rule: it uses its own folder, `weighbridge-demo`, so that `weighbridge kept deliver` never finds the made-up weigh-in,
and the default settings, whatever is set in the environment.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import fitdecode

from ..errors import FolderUnusable
from ..resources import EXAMPLE
from .serving import function_process, open_here
from .surroundings import Surroundings

if TYPE_CHECKING:
    from ..client import Target

FOLDER = Path("weighbridge-demo")
READING = FOLDER / EXAMPLE.name
KEPT = FOLDER / "weigh-ins"


@click.command("demo")
@click.pass_obj
def command(around: Surroundings) -> None:
    """Start the function, post a reading, show the receipt, and decode the file.

    Everything is written to the folder weighbridge-demo.
    """
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(EXAMPLE, READING)
    except OSError as e:
        raise FolderUnusable(f"The folder {FOLDER} cannot be written: {e.strerror}.") from None
    reading = READING.read_bytes()
    with function_process(embedded(around.environment, KEPT), FOLDER) as target:
        print(f"The function listens on {target.url}. A reading, as the Fitdays app shows it:\n")
        print(indented(reading.decode().strip()))
        print(f"\n$ curl -H @{FOLDER / 'key'} -d @{READING} {target.url}\n")
        receipt = post(target, reading)
    print(indented(json.dumps(receipt, indent=2, ensure_ascii=False)))

    file = KEPT / receipt["fit"]["file_name"]
    print("\nThe file that was kept, decoded by fitdecode, a third-party library:\n")
    for line in decoded(file.read_bytes()):
        print(f"  {line}")
    print(
        f"\nTo import it into Garmin Connect by hand, open {receipt['import_page']},\n"
        f"choose {file}, and press Import Data.\n"
        f"(It is an example: weigh yourself first. Delete {FOLDER}/, the folder of this demo, when you like.)\n"
        "To have it delivered for you: weighbridge login, then WEIGHBRIDGE_DELIVERY=garmin weighbridge serve."
    )


def embedded(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """An environment in which the function keeps files in this folder, with the defaults for everything else."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
    return kept | {"WEIGHBRIDGE_FOLDER": str(folder)}


def post(target: Target, body: bytes) -> dict[str, dict[str, str]]:
    request = urllib.request.Request(target.url, data=body, headers=target.headers())  # noqa: S310  # our own address
    with open_here(request, timeout_s=30) as answer:
        receipt: dict[str, dict[str, str]] = json.load(answer)
        return receipt


def decoded(content: bytes) -> Iterator[str]:
    reader = fitdecode.FitReader(
        content, check_crc=fitdecode.CrcCheck.RAISE, error_handling=fitdecode.ErrorHandling.RAISE
    )
    for frame in reader:
        if isinstance(frame, fitdecode.FitDataMessage):
            yield frame.name
            for field in frame.fields:
                if field.value is not None:
                    unit = f" {field.units}" if field.units else ""
                    yield f"  {field.name:<22} {field.value}{unit}"


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
