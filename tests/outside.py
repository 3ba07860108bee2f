"""Third-party decoders. If one is missing, its test is skipped, and fails with CI set."""

from __future__ import annotations

from collections.abc import Sequence

from sdk_fallback import decoders
from sdk_fallback.decoders import DecoderMissing, WeighIn, by_fitdecode, by_garmin_python
from tests.skips import unavailable

__all__ = ["WeighIn", "by_fitdecode", "by_garmin_javascript", "by_garmin_python"]


def by_garmin_javascript(contents: Sequence[bytes]) -> list[list[WeighIn]]:
    try:
        return decoders.by_garmin_javascript(contents)
    except DecoderMissing as missing:
        unavailable(str(missing))
