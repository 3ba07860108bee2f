"""Decoders that we did not write: fitdecode, and Garmin's own for Python and for JavaScript.

Each turns files into weigh-ins: the raw integers and the scaled values by FIT field name, without empty fields.
Garmin's two are optional, for developers. If one is not installed, its function raises `DecoderMissing`.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fitdecode

from weighbridge.commands import needs_extra

JS = Path(__file__).with_name("js")


@dataclass
class WeighIn:
    raw: dict[str, int] = field(default_factory=dict)
    value: dict[str, float] = field(default_factory=dict)
    developer: dict[str, float] = field(default_factory=dict)


class DecoderMissing(Exception):
    """This decoder is not installed; the message says how to install it."""


class DecodingFailed(Exception):
    """The decoder says that the file is not intact."""


def by_fitdecode(content: bytes) -> list[WeighIn]:
    found = []
    reader = fitdecode.FitReader(
        content, check_crc=fitdecode.CrcCheck.RAISE, error_handling=fitdecode.ErrorHandling.RAISE
    )
    for frame in reader:
        if isinstance(frame, fitdecode.FitDataMessage) and frame.name == "weight_scale":
            weigh_in = WeighIn()
            for data in frame.fields:
                if data.raw_value is None:
                    continue
                if data.field_def.is_dev:
                    weigh_in.developer[data.name] = data.value
                else:
                    weigh_in.raw[data.name] = data.raw_value
                    if data.name != "timestamp":
                        weigh_in.value[data.name] = data.value
            found.append(weigh_in)
    return found


#: Our developer fields in the order of their descriptions: Garmin's decoders number them in that order.
DEVELOPER_KEYS = ("fat_mass", "fat_free_mass", "subcutaneous_fat", "skeletal_muscle_mass")


def by_garmin_python(content: bytes) -> list[WeighIn]:
    """The weigh-ins according to garmin-fit-sdk. Raises `DecoderMissing` or `DecodingFailed`."""
    try:
        from garmin_fit_sdk import Decoder, Stream
    except ImportError:
        raise DecoderMissing("garmin-fit-sdk is not installed: pip install garmin-fit-sdk.") from None

    def read(options: dict[str, Any]) -> Any:
        messages, errors = Decoder(Stream.from_byte_array(bytearray(content))).read(**options)
        if errors:
            raise DecodingFailed(f"garmin-fit-sdk: {errors[0]}")
        return messages["weight_scale_mesgs"]

    # check_integrity() consumes its stream, so a second decoder reads.
    if not Decoder(Stream.from_byte_array(bytearray(content))).check_integrity():
        raise DecodingFailed("garmin-fit-sdk: the file is not intact")
    plain: dict[str, Any] = {"convert_datetimes_to_dates": False, "convert_types_to_strings": False}
    unscaled = plain | {"apply_scale_and_offset": False, "merge_heart_rates": False, "expand_components": False}
    return [_weigh_in(r, v) for r, v in zip(read(unscaled), read(plain), strict=True)]


def _weigh_in(raw: dict[str, Any], value: dict[str, Any]) -> WeighIn:
    developer = {
        DEVELOPER_KEYS[int(key)]: number
        for key, number in value.pop("developer_fields", {}).items()
        if number is not None and not math.isnan(number)
    }
    raw.pop("developer_fields", None)
    value.pop("timestamp", None)
    return WeighIn(raw, value, developer)


def by_garmin_javascript(contents: Sequence[bytes]) -> list[list[WeighIn]]:
    """The weigh-ins of each file according to @garmin/fitsdk, with one Node process for all of them.

    Raises `DecoderMissing` or `DecodingFailed`.
    """
    _install_javascript()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{index}.fit") for index in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        done = subprocess.run(
            ["node", str(JS / "decode.mjs")],
            input="\n".join(map(str, paths)),
            capture_output=True,
            text=True,
            check=True,
        )
    decoded = [json.loads(line) for line in done.stdout.splitlines()]
    if len(decoded) != len(contents) or any(file["errors"] or not file["whole"] for file in decoded):
        raise DecodingFailed("@garmin/fitsdk: a file is not intact")
    return [
        [_weigh_in(_snake(raw), _snake(value)) for raw, value in zip(file["raw"], file["scaled"], strict=True)]
        for file in decoded
    ]


def _snake(message: dict[str, Any]) -> dict[str, Any]:
    return {re.sub(r"[A-Z]", lambda capital: "_" + capital[0].lower(), key): value for key, value in message.items()}


def _install_javascript() -> None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise DecoderMissing("Garmin's JavaScript decoder needs Node and npm. Install both.")
    try:
        from filelock import FileLock
    except ModuleNotFoundError:
        raise DecoderMissing(needs_extra("Garmin's JavaScript decoder", "sdk")) from None

    lock = (JS / "package-lock.json").read_bytes()
    stamp = JS / "node_modules" / ".installed"
    with FileLock(Path(tempfile.gettempdir(), "weighbridge-npm.lock")):
        if not stamp.exists() or stamp.read_bytes() != lock:
            done = subprocess.run(
                ["npm", "ci", "--no-audit", "--no-fund"], cwd=JS, check=False, capture_output=True, text=True
            )
            if done.returncode != 0:
                raise DecoderMissing("npm could not install @garmin/fitsdk. Check the network.")
            stamp.write_bytes(lock)
