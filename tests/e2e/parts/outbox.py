"""The outbox's own programs, as processes: weighbridge outbox …"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.parts import is_listening, wait_until
from tests.e2e.parts.postgres import Postgres, query
from tests.function_client import Running, wait_until_answering
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "weighbridge", "outbox")
FINAL = ("confirmed", "present")


class Program:
    """A program that runs until it is stopped or killed. After a restart, it appends to the same log."""

    def __init__(self, command: str, environment: Mapping[str, str], log: Path) -> None:
        self._command, self._environment, self._log = command, environment, log
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, self._command], env=self._environment, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(timeout=20)

    def log(self) -> str:
        return self._log.read_text()


class Function:
    """The function, on a port that stays the same after a restart."""

    def __init__(self, environment: Mapping[str, object], folder: Path) -> None:
        self._environment, self._folder, self.port = environment, folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._starts = 0
        self._running: Running | None = None

    def start(self, *, wait: bool = True) -> None:
        self._starts += 1
        self._running = Running(self._environment, self.port, self._folder / f"function-{self._starts}.log")
        if wait:
            wait_until_answering(self.address, self._running)

    def kill(self) -> None:
        if self._running:
            self._running.kill()
            self._running = None
            # Its worker processes hold the port and open connections until the last one ends.
            wait_until("the function is gone", lambda: not is_listening(self.port))

    def log(self) -> str:
        return "".join(path.read_text() for path in self._folder.glob("function-*.log"))


class Outbox:
    """A database with the outbox, and its programs."""

    def __init__(self, server: Postgres, folder: Path, stack: ExitStack, settings: Mapping[str, str]) -> None:
        self._folder, self._stack = folder, stack
        self.database = server.new_database()
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "MQTT_", "OUTBOX_"))}
        patience = {"OUTBOX_LONGEST_PAUSE_SECONDS": "1", "OUTBOX_STALLED_SECONDS": "2"}
        self.environment = outside | {"DATABASE_URL": self.database} | patience | settings
        self.ask("migrate")

    def ask(self, *arguments: object, fails: bool = False) -> str:
        """Run a command to its end, and return what it printed."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == int(fails), done.stderr
        return done.stderr if fails else done.stdout

    def run(self, command: str, **settings: str) -> Program:
        number = len(list(self._folder.glob(f"{command}-*.log")))
        program = Program(command, self.environment | settings, self._folder / f"{command}-{number}.log")
        self._stack.callback(program.kill)
        return program

    def function(self, environment: Mapping[str, object]) -> Function:
        function = Function(environment, self._folder)
        self._stack.callback(function.kill)
        self.environment["WEIGHBRIDGE_URL"] = function.address
        return function

    def insert(self, *payloads: str, source: str = "test") -> None:
        for payload in payloads:
            self.query("INSERT INTO readings (source, payload) VALUES (%s, %s)", source, payload)

    def query(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        return query(self.database, sql, *values)

    def states(self) -> dict[str, int]:
        return {str(state): int(str(n)) for state, n in self.query("SELECT state, count(*) FROM readings GROUP BY 1")}

    def state(self, reading_id: int = 1) -> str:
        rows = self.query("SELECT state FROM readings WHERE id = %s", reading_id)
        return str(rows[0][0]) if rows else "absent"

    def delivered(self) -> int:
        states = self.states()
        return sum(states.get(state, 0) for state in FINAL)

    def logs(self) -> str:
        return "".join(path.read_text() for path in self._folder.glob("*.log"))


@contextmanager
def outbox(server: Postgres, folder: Path, **settings: str) -> Iterator[Outbox]:
    with ExitStack() as stack:
        yield Outbox(server, folder, stack, settings)
