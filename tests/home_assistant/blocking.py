"""Home Assistant's own detector of what blocks the loop, with all of its calls: in tests it looks for some only."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import homeassistant.block_async_io as detector
import pytest
from homeassistant.util import loop as protected

import custom_components.weighbridge
import weighbridge

#: The folders of the integration, and of the function inside Home Assistant.
OURS = tuple(str(Path(str(part.__file__)).parent) for part in (custom_components.weighbridge, weighbridge))


def watch_for_blocking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What our code does from now on that blocks the loop."""
    found: list[str] = []

    def raise_for_blocking_call(func: Any, *_args: Any, check_allowed: Any = None, **mapped: Any) -> None:
        call = {name: mapped[name] for name in ("args", "kwargs") if name in mapped}
        if asyncio._get_running_loop() is None or (check_allowed is not None and check_allowed(call)):
            return
        # Not `extract_stack`, which reads files.
        stack = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_stack(sys._getframe(1))]
        if any(file.startswith(OURS) for file, _ in stack):
            found.append(f"{func.__qualname__} {stack[:6]}")

    loop_thread = threading.get_ident()
    for call in detector._BLOCKING_CALLS:
        guarded = protected.protect_loop(
            call.original_func, loop_thread_id=loop_thread, strict=False, strict_core=False,
            check_allowed=call.check_allowed,
        )  # fmt: skip
        monkeypatch.setattr(call.object, call.function, guarded)
    monkeypatch.setattr(protected, "raise_for_blocking_call", raise_for_blocking_call)
    return found
