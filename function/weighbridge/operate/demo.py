"""make demo: the whole way on real input, in one screen. Needs no account: the file is kept for manual import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fitdecode

ROOT = Path(__file__).parent.parent
START_DEADLINE_S = 30


def main() -> int:
    reading = (ROOT / "examples" / "fitdays.json").read_bytes()
    folder = ROOT / "weigh-ins"
    with function_process(embedded(folder)) as address:
        print(f"The function listens on {address}. A reading, as the Fitdays app shows it:\n")
        print(indented(reading.decode().strip()))
        print(f"\n$ curl -d @examples/fitdays.json {address}\n")
        receipt = post(address, reading)
    print(indented(json.dumps(receipt, indent=2, ensure_ascii=False)))

    file = folder / receipt["fit"]["file_name"]
    print("\nThe file that was kept, decoded by fitdecode, which is not our software:\n")
    for line in decoded(file.read_bytes()):
        print(f"  {line}")
    print(
        f"\nTo bring it into Garmin Connect by hand, open {receipt['import_page']},\n"
        f"choose {file.relative_to(ROOT)}, and press Import Data. (It is an example: better weigh yourself first.)\n"
        "To have it done for you: make login, then WEIGHBRIDGE_DELIVERY=garth make run."
    )
    return 0


def embedded(folder: Path) -> dict[str, str]:
    """The environment of a function that keeps files in this folder, whatever else is set here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
    return kept | {"WEIGHBRIDGE_FOLDER": str(folder)}


@contextmanager
def function_process(environment: Mapping[str, str]) -> Iterator[str]:
    """A real functions-framework process on a free port of this machine, ready to answer."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("functions-framework")),
        *("--source", str(ROOT / "function" / "main.py"), "--target", "handle"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_DEADLINE_S
        while not is_answering(address):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("The function did not start; run `make run` to see why.")
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


def is_answering(address: str) -> bool:
    """Whether a function is there, be it ready to deliver or not."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310  # our own address
            return b'"delivery"' in answer.read()
    except urllib.error.HTTPError as e:
        with e:
            return b'"delivery"' in e.read()
    except OSError:
        return False


def post(address: str, body: bytes) -> dict[str, dict[str, str]]:
    with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=30) as answer:  # noqa: S310
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


if __name__ == "__main__":
    sys.exit(main())
