"""An object with the attributes of a reading, for values that `Reading` would refuse (0.00 % fat, 655 kg)."""

from __future__ import annotations

from weighbridge.fit.profile import DEVELOPER, WEIGHT_SCALE

SOURCES = [field.source for field in (*WEIGHT_SCALE, *DEVELOPER) if field.source]


class Values:
    def __init__(self, **given: object) -> None:
        for source in SOURCES:
            setattr(self, source, given.pop(source, None))
        assert not given, f"no such attribute: {given}"
