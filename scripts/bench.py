"""make bench: is Weighbridge fast where it matters? Only ratios count, each measured in one run on the same work.

Strategy: the rounds of the contestants alternate, so a busy machine slows all of them equally. The medians of the
rounds are compared. A goal in µs, ms or s can be judged only on a machine that is as fast as the one on which it was
set, so the first line says how fast this one is. A row that misses its goal is followed by where its time goes. Exit
code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import yaml  # type: ignore[import-untyped]  # its stubs are not installed

from scripts.bench_where import OWN, PRINT_IMPORTS, STANDARD, imports_ms, modules_ms
from tests.e2e.parts import family
from tests.ports import free_port
from weighbridge.client import Client, Target
from weighbridge.client.settings import local_key_path
from weighbridge.delivery.folder import Folder
from weighbridge.delivery.kept import MONTH
from weighbridge.delivery.last_outcome import LastOutcome
from weighbridge.delivery.port import INSTANT, Outcome
from weighbridge.fit.encode import encode
from weighbridge.fit.patch import READINGS_PER_FILE, patch
from weighbridge.fit.template import read_template
from weighbridge.fit.verify import verify
from weighbridge.garmin.connect import GarminConnect
from weighbridge.garmin.sessions.port import GarminResponse
from weighbridge.http.body import read_body
from weighbridge.http.encoding import json_bytes
from weighbridge.local_key import local_key
from weighbridge.operate.serving import server_command
from weighbridge.pipeline import Prover, Weighbridge, prove
from weighbridge.reading.interpret import interpret
from weighbridge.reading.reading import Reading
from weighbridge.receipt import make_receipt

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 11, 22, 6, 31, tzinfo=UTC)
PAYLOAD = {
    "measured_at": "2026-11-22T06:31:00Z",
    "weight_kg": Decimal("81.4"),
    "body_fat_percent": Decimal("18.2"),
    "body_water_percent": Decimal("56.4"),
    "bone_mass_kg": Decimal("3.4"),
    "muscle_mass_kg": Decimal("63.2"),
    "basal_metabolic_rate_kcal": Decimal(1812),
    "metabolic_age_years": Decimal(38),
    "visceral_fat_rating": Decimal(7),
    "bmi": Decimal("24.6"),
}
TEMPLATE = read_template((ROOT / "templates" / "weight_scale.fit").read_bytes())
READING: Reading = interpret(PAYLOAD, now=NOW, timezone=ZoneInfo("UTC")).reading


class Measured(NamedTuple):
    what: str
    measured: str
    #: Empty for a figure without a goal.
    goal: str = ""
    kept: bool = True
    #: Where the time goes, which is measured if the goal is missed.
    parts: Callable[[], list[Measured]] = list

    @property
    def verdict(self) -> str:
        return "" if not self.goal else "kept" if self.kept else "MISSED"


def main() -> int:
    benchmarks = {
        benchmark.__name__: benchmark
        for benchmark in (
            *(encoding, proving, serving, refusing, starting, resting, checking, calling),
            *(many, held, keeping, history, outbox, form),
        )
    }
    parser = argparse.ArgumentParser(prog="make bench", description="Measure what Weighbridge costs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(benchmarks)}")
    parser.add_argument("--save", type=Path, metavar="FILE", help="save the figures")
    parser.add_argument("--before", type=Path, metavar="FILE", help="show the figures of a saved run beside these")
    options = parser.parse_args()
    if unknown := set(options.names) - set(benchmarks):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    before: dict[str, str] = json.loads(options.before.read_text(encoding="utf-8")) if options.before else {}
    rows = [machine()]
    show(rows, before)
    for name in options.names or benchmarks:
        print(f"measuring {name} …", file=sys.stderr)
        for row in benchmarks[name]():
            rows += [row, *(row.parts() if not row.kept else [])]
    print()
    show(rows[1:], before)
    if options.save:
        saved = json.dumps({row.what: row.measured for row in rows}, indent=2, ensure_ascii=False)
        options.save.write_text(f"{saved}\n", encoding="utf-8")
    return 0 if all(row.kept for row in rows) else 1


def show(rows: Sequence[Measured], before: Mapping[str, str]) -> None:
    columns = [[row.what, row.measured, row.goal, row.verdict] for row in rows]
    if before:
        for row in columns:
            row.insert(1, f"before: {before[row[0]]}" if row[0] in before else "")
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row in columns:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


#: The CPU of an empty function's request on the machine on which the goals in µs and ms were set.
GOALS_SET_AT_US = 114


def machine() -> Measured:
    """How fast this machine is, against the one on which the goals in µs and ms were set."""
    with tempfile.TemporaryDirectory() as folder, server_of("empty asgi", Path(folder)) as server:
        wait_for_2xx(server.port, post("/", b"{}"))
        load(server, post("/", b"{}"), 0.5)
        here = statistics.median(load(server, post("/", b"{}"), 1.0).cpu_us for _ in range(3))
    return Measured(
        "this machine: CPU of an empty function's request on ASGI",
        f"{here:.0f} µs, {here / GOALS_SET_AT_US:.1f} × what it was where the goals in µs and ms were set "
        f"({GOALS_SET_AT_US} µs)",
    )


def parts(taken: Mapping[str, float], unit: str = "µs") -> list[Measured]:
    """What a whole consists of, each with its share."""
    whole = sum(taken.values())
    return [
        Measured(f"  of which {name}", f"{each:.0f} {unit}, {100 * each / whole:.0f} %") for name, each in taken.items()
    ]


def most(taken: Counter[str], count: int = 6) -> dict[str, float]:
    """The largest parts, and the rest of them as one."""
    largest: dict[str, float] = dict(taken.most_common(count))
    return largest | {"all the rest": sum(taken.values()) - sum(largest.values())}


# --- bytes ---


def ours_encoded() -> bytes:
    return patch(TEMPLATE, [encode(READING)])


def sdk_encoded() -> bytes:
    from garmin_fit_sdk import Encoder

    encoder = Encoder()
    encoder.on_mesg(
        0, {"type": "weight", "manufacturer": 1, "product": 2429, "serial_number": 1234, "time_created": NOW}
    )
    encoder.on_mesg(30, {"timestamp": NOW} | FIT_VALUES)
    encoded: bytes = encoder.close()
    return encoded


def fit_tool_encoded() -> bytes:
    from fit_tool.fit_file_builder import FitFileBuilder
    from fit_tool.profile.messages.file_id_message import FileIdMessage
    from fit_tool.profile.messages.weight_scale_message import WeightScaleMessage
    from fit_tool.profile.profile_type import FileType

    builder = FitFileBuilder(auto_define=True)
    file_id = FileIdMessage()
    file_id.type, file_id.manufacturer, file_id.product, file_id.serial_number = FileType.WEIGHT, 1, 2429, 1234
    file_id.time_created = NOW_MS
    builder.add(file_id)
    weight = WeightScaleMessage()
    weight.timestamp = NOW_MS
    for name, value in FIT_VALUES.items():
        setattr(weight, name, value)
    builder.add(weight)
    encoded: bytes = builder.build().to_bytes()
    return encoded


def garminconnect_encoded() -> bytes:
    from garminconnect.fit import FitEncoderWeight

    encoder = FitEncoderWeight()
    encoder.write_file_info(time_created=NOW)
    encoder.write_file_creator()
    encoder.write_device_info(NOW)
    encoder.write_weight_scale(NOW, **FIT_VALUES)
    encoder.finish()
    encoded: bytes = encoder.getvalue()
    return encoded


FIT_VALUES = {
    "weight": 81.4,
    "percent_fat": 18.2,
    "percent_hydration": 56.4,
    "bone_mass": 3.4,
    "muscle_mass": 63.2,
    "basal_met": 1812.0,
    "metabolic_age": 38,
    "visceral_fat_rating": 7,
}
NOW_MS = round(NOW.timestamp() * 1000)


def encoding() -> list[Measured]:
    ours, *others = microseconds_each(ours_encoded, sdk_encoded, fit_tool_encoded, garminconnect_encoded)
    names = ("garmin-fit-sdk", "fit-tool", "garminconnect")
    fastest = min(others)
    rows = [
        Measured(f"bytes of one reading: {name}", f"{each:.1f} µs, {each / ours:.1f} × ours")
        for name, each in zip(names, others, strict=True)
    ]
    ratio = fastest / ours
    return [
        Measured(
            "bytes of one reading: ours", f"{ours:.1f} µs, {ratio:.1f} × faster than the fastest", "≥ 12 ×", ratio >= 12
        ),
        *rows,
    ]


def proving() -> list[Measured]:
    def sdk_both() -> object:
        from garmin_fit_sdk import Decoder, Stream

        return Decoder(Stream.from_byte_array(bytearray(sdk_encoded()))).read()

    ours, sdk = microseconds_each(lambda: prove(TEMPLATE, [encode(READING)]), sdk_both)
    measured = f"{ours:.0f} µs against {sdk:.0f} µs, {ours / sdk:.2f} ×"
    return [
        Measured("bytes and proof, against encode and decode of garmin-fit-sdk", measured, "≤ 0.6 ×", ours <= 0.6 * sdk)
    ]


def microseconds_each(
    *contestants: Callable[[], object], rounds: int = 9, seconds_a_round: float = 0.1, calls: int = 20
) -> list[float]:
    """Processor time, which other programs on the machine change less than they change the time of the clock."""
    times: list[list[float]] = [[] for _ in contestants]
    for contestant in contestants:
        contestant()
    for _ in range(rounds):
        for contestant, taken in zip(contestants, times, strict=True):
            count = 0
            started = time.process_time()
            while time.process_time() - started < seconds_a_round:
                for _ in range(calls):
                    contestant()
                count += calls
            taken.append((time.process_time() - started) / count * 1e6)
    return [statistics.median(taken) for taken in times]


# --- HTTP ---

#: An empty function on functions-framework's default server (threads), and on its ASGI server: as it is when
#: functions-framework alone is installed. With the httptools that Weighbridge brings, its ASGI server is twice as fast.
EMPTY = {
    "empty": "def handle(request):\n    return 'ok'\n",
    "empty asgi": "async def handle(request):\n    return 'ok'\n",
}
CONNECTIONS = 8
LOAD_ROUNDS = 7
LOAD_SECONDS = 2.0


def serving() -> list[Measured]:
    with servers() as running:
        contestants = {
            name: (server, post("/readings?dry_run=true", BODY) if name == "ours" else post("/", b"{}"))
            for name, server in running.items()
        }
        for server, request in contestants.values():
            load(server, request, 0.5)
        measured = [
            {name: load(server, request, LOAD_SECONDS) for name, (server, request) in contestants.items()}
            for _ in range(LOAD_ROUNDS)
        ]
        batch = cpu_of_batch_us(running["ours"])

    def median(name: str, what: Callable[[Load], float]) -> float:
        return statistics.median(what(each[name]) for each in measured)

    rate = {name: median(name, lambda load: load.per_second) for name in contestants}
    p99 = {name: median(name, lambda load: load.p99_ms) for name in contestants}
    cpu = {name: median(name, lambda load: load.cpu_us) for name in contestants}
    return [
        Measured(
            "proven dry runs per second, of an empty function's on threads",
            f"{rate['ours']:.0f}/s of {rate['empty']:.0f}/s, {100 * rate['ours'] / rate['empty']:.0f} %",
            "≥ 100 %",
            rate["ours"] >= rate["empty"],
        ),
        Measured(
            "their p99, against that empty function's",
            f"{p99['ours']:.1f} ms against {p99['empty']:.1f} ms, {p99['ours'] / p99['empty']:.2f} ×",
            "≤ 1 ×",
            p99["ours"] <= p99["empty"],
        ),
        Measured(
            "CPU of a proven dry run, against an empty function's on ASGI",
            f"{cpu['ours']:.0f} µs against {cpu['empty asgi']:.0f} µs, {cpu['ours'] / cpu['empty asgi']:.2f} ×",
            "≤ 2.7 ×",
            cpu["ours"] <= 2.7 * cpu["empty asgi"],
        ),
        *parts(stages_us(cpu["ours"])),
        Measured(
            f"CPU of each reading in a proven batch of {BATCH:,}",
            f"{batch:.0f} µs",
            "≤ 200 µs",
            batch <= 200,
            lambda: parts(stages_us(batch, READINGS_PER_FILE)),
        ),
    ]


BATCH = 1_000
BATCH_ROUNDS = 5


def cpu_of_batch_us(server: Server) -> float:
    """Of the server, for each reading of a dry run of many."""
    readings = [json.loads(BODY) | {"measured_at": 1_700_000_000 + 60 * n} for n in range(BATCH)]
    request = post("/readings?dry_run=true", json.dumps(readings).encode())
    taken = []
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        for _ in range(BATCH_ROUNDS):
            before = cpu_s(server.process.pid)
            connection.sendall(request)
            if not read_answer(connection).startswith(b"HTTP/1.1 200"):
                raise RuntimeError("the batch was not checked")
            taken.append(1e6 * (cpu_s(server.process.pid) - before) / BATCH)
    return statistics.median(taken)


def stages_us(of_a_reading_us: float, count: int = 1) -> dict[str, float]:
    """The stages of a proven dry run of `count` readings, for each of them: each in a loop of its own, where caches are
    warm; the server has the rest."""
    headers: dict[str, str] = {}
    sent = [json.loads(BODY) | {"measured_at": 1_700_000_000 + 60 * n} for n in range(count)]
    body = BODY if count == 1 else json.dumps(sent).encode()
    items = read_body(body, "application/json", headers).items
    understood = [interpret(item.payload, now=NOW, timezone=ZoneInfo("UTC")) for item in items]
    raws = [encode(each.reading) for each in understood]
    content = patch(TEMPLATE, raws)
    fit = verify(content, TEMPLATE, raws)

    def receipts() -> list[object]:
        return [make_receipt(each, raw, TEMPLATE, fit) for each, raw in zip(understood, raws, strict=True)]

    made = receipts()
    stages: dict[str, Callable[[], object]] = {
        "body": lambda: read_body(body, "application/json", headers).items,
        "interpret": lambda: [interpret(item.payload, now=NOW, timezone=ZoneInfo("UTC")) for item in items],
        "encode": lambda: [encode(each.reading) for each in understood],
        "patch": lambda: patch(TEMPLATE, raws),
        "proof": lambda: verify(content, TEMPLATE, raws),
        "receipt": receipts,
        "JSON": lambda: json_bytes(made[0] if count == 1 else {"results": made}, pretty=False),
    }
    times = microseconds_each(*stages.values(), calls=max(1, 20 // count))
    taken = {name: each / count for name, each in zip(stages, times, strict=True)}
    return taken | {"server, and cold caches": of_a_reading_us - sum(taken.values())}


class Load(NamedTuple):
    per_second: float
    p99_ms: float
    #: Of the server, for each request.
    cpu_us: float


class Server(NamedTuple):
    port: int
    process: subprocess.Popen[bytes]


def load(server: Server, request: bytes, seconds: float) -> Load:
    """Measure HTTP/1.1 over kept connections, from a separate process so that it takes no time from the server."""
    command = [sys.executable, "-m", "scripts.bench", "--load", str(server.port), str(seconds)]
    before = cpu_s(server.process.pid)
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    count, p99_ms = json.loads(done.stdout)
    return Load(count / seconds, p99_ms, 1e6 * (cpu_s(server.process.pid) - before) / count)


def cpu_s(pid: int) -> float:
    """The processor time of a process and its children so far."""
    ticks = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            user, system = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


def generate_load(port: int, seconds: float, request: bytes) -> tuple[int, float]:
    """Send from one thread over all connections: the less the generator does, the purer the measurement."""
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as stack:
        started: dict[int, float] = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            # The first answer gives the length of all: every answer to the same request is equally long.
            read_answer(connection)
            selector.register(connection, selectors.EVENT_READ)
        length = answer_length(port, request)
        missing: dict[int, int] = {}
        end = time.perf_counter() + seconds
        for key in list(selector.get_map().values()):
            started[key.fd], missing[key.fd] = time.perf_counter(), length
            key.fileobj.sendall(request)  # type: ignore[union-attr]
        while (now := time.perf_counter()) < end:
            for key, _ in selector.select(1):
                connection = key.fileobj  # type: ignore[assignment]
                data = connection.recv(65_536)
                if missing[key.fd] == length and not data.startswith(b"HTTP/1.1 2"):
                    raise RuntimeError("the function did not answer with a 2xx")
                missing[key.fd] -= len(data)
                if missing[key.fd] == 0:
                    now = time.perf_counter()
                    latencies.append(now - started[key.fd])
                    started[key.fd], missing[key.fd] = now, length
                    connection.sendall(request)
    latencies.sort()
    return len(latencies), 1000 * latencies[int(len(latencies) * 0.99)]


def answer_length(port: int, request: bytes) -> int:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        head = data.partition(b"\r\n\r\n")[0]
        return len(head) + 4 + int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


def read_answer(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head


def post(path: str, body: bytes) -> bytes:
    key = local_key(local_key_path(os.environ)).get_secret_value()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


BODY = json.dumps({k: float(v) if isinstance(v, Decimal) else v for k, v in PAYLOAD.items()}).encode()


# --- bad bodies ---

MIB = 1 << 20
#: The worst bodies we could think of, nearly all of the largest size that is accepted.
BAD_BODIES = {
    "not JSON": b"x" * MIB,
    "not UTF-8": b'{"weight": "' + b"a" * (MIB - 20) + b'\xff"}',
    "too large": b" " * (MIB + 1),
    "nested a million deep": b"[" * MIB,
    "a million digits": b'{"weight": ' + b"9" * (MIB - 20) + b"}",
    "a duplicate key at the end": b'{"weight": 81.4, "' + b"k" * (MIB - 60) + b'": 1, "weight": 81.5}',
    "ninety thousand members": b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
    "a third of a million objects": b"[" + b",".join([b"{}"] * (MIB // 3 - 2)) + b"]",
    "half a million items": b"[" + b",".join([b"0"] * (MIB // 2 - 2)) + b"]",
    "a long text for a number": b'{"weight": "' + b"8" * (MIB - 20) + b'"}',
    "a number that is out of range": b'{"weight": 1e999999999}',
}
MOST_MS_TO_REFUSE = 100


def refusing() -> list[Measured]:
    slowest: dict[str, float] = {}
    with servers() as running:
        ours = running["ours"].port
        for name, body in BAD_BODIES.items():
            request = post("/readings", body)
            times = []
            for _ in range(5):
                started = time.perf_counter()
                with socket.create_connection(("127.0.0.1", ours)) as connection:
                    connection.sendall(request)
                    status = read_answer(connection)[9:10]
                times.append(1000 * (time.perf_counter() - started))
                if status != b"4":
                    raise RuntimeError(f"a body that is {name} was not refused with 4xx")
            slowest[name] = statistics.median(times)
    name = max(slowest, key=lambda name: slowest[name])
    return [
        Measured(
            "the slowest refusal of a bad body of 1 MiB",
            f"{slowest[name]:.0f} ms ({name})",
            f"≤ {MOST_MS_TO_REFUSE} ms",
            slowest[name] <= MOST_MS_TO_REFUSE,
        )
    ]


# --- start and memory ---


def starting() -> list[Measured]:
    # As pip does when it installs the wheel, also into the images.
    compileall.compile_dir(ROOT / "function", quiet=1)
    times: dict[str, list[float]] = {"empty": [], "ours": []}
    memory: dict[str, list[float]] = {"empty": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(9):
            for name in times:
                started = time.perf_counter()
                with server_of(name, Path(folder)) as server:
                    wait_for_2xx(server.port, post("/fit", BODY) if name == "ours" else post("/", b"{}"))
                    times[name].append(time.perf_counter() - started)
                    memory[name].append(memory_mib(server.process.pid))
    start = [statistics.median(times[name]) for name in ("ours", "empty")]
    size = [statistics.median(memory[name]) for name in ("ours", "empty")]
    return [
        Measured(
            "cold start to the first proven file, against an empty function's",
            f"{1000 * start[0]:.0f} ms against {1000 * start[1]:.0f} ms, {start[0] / start[1]:.2f} ×",
            "≤ 1.35 ×",
            start[0] / start[1] <= 1.35,
            cold_imports,
        ),
        Measured(
            "memory after the first proven file, against an empty function's",
            f"{size[0]:.0f} MiB against {size[1]:.0f} MiB, {size[0] / size[1]:.2f} ×",
            "≤ 1.3 ×",
            size[0] / size[1] <= 1.3,
        ),
    ]


def cold_imports() -> list[Measured]:
    """What the imports of a cold start take, ours and those of an empty function. To print them makes them slower."""
    taken: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ours", "empty"):
            path = Path(folder, f"{name}.imports")
            with path.open("wb") as file, server_of(name, Path(folder), PRINT_IMPORTS, file) as server:
                wait_for_2xx(server.port, post("/fit", BODY) if name == "ours" else post("/", b"{}"))
            taken[name] = imports_ms(path.read_text())
    return imports(taken["ours"], taken["empty"])


def imports(ours: Counter[str], other: Counter[str]) -> list[Measured]:
    """The packages that we import, and what the same cost the other program."""
    largest = [name for name, _ in ours.most_common(9) if name not in (OWN, STANDARD)]
    names = (OWN, STANDARD, *largest)
    rest = [sum(each.values()) - sum(each[name] for name in names) for each in (ours, other)]
    rows = [(name, ours[name], other[name]) for name in names] + [("all the rest", *rest)]
    return [
        Measured(f"  of which imports: {name}", f"{own:.0f} ms against {others:.0f} ms") for name, own, others in rows
    ]


# --- at rest ---

REST_S = 60.0


def resting() -> list[Measured]:
    """What each program does while nobody asks anything of it."""
    # Imported here: only this benchmark needs Postgres, Streamlit and their libraries.
    from _pytest.outcomes import Skipped

    from tests.e2e.parts.form import streamlit
    from tests.e2e.parts.postgres import postgres

    rows = []
    with tempfile.TemporaryDirectory() as name, server_of("ours", Path(name)) as server:
        wait_for_2xx(server.port, post("/fit", BODY))
        rows.append(at_rest("function", server.process.pid, 60))
        with streamlit(["weighbridge", "form"], Path(name), f"http://127.0.0.1:{server.port}") as served:
            rows.append(at_rest("form", served.pid, 60))
    try:
        with postgres() as database:
            outbox = [sys.executable, "-m", "weighbridge", "outbox"]
            environment = os.environ | {"DATABASE_URL": database.new_database()}
            subprocess.run([*outbox, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
            worker = subprocess.Popen([*outbox, "worker"], env=environment)
            try:
                rows.append(at_rest("outbox worker", worker.pid, 300))
            finally:
                worker.terminate()
                worker.wait()
    except Skipped as e:
        print(f"  skipped: {e}", file=sys.stderr)
    return rows


def at_rest(name: str, pid: int, most_a_minute: int) -> Measured:
    """The wake-ups of a process that has nothing to do."""
    time.sleep(5)  # what a start leaves behind, such as a connection that is kept for a while
    before, started = wake_ups(pid), time.perf_counter()
    time.sleep(REST_S)
    rate = 60 * (wake_ups(pid) - before) / (time.perf_counter() - started)
    return Measured(f"{name}, at rest", f"{rate:.0f} wake-ups a minute", f"≤ {most_a_minute}", rate <= most_a_minute)


def wake_ups(pid: int) -> int:
    """How often the threads of a process and of its children have gone to sleep so far."""
    if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
        raise RuntimeError("the process has ended")
    statuses = (path.read_text() for each in family(pid) for path in Path(f"/proc/{each}/task").glob("*/status"))
    return sum(int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0]) for status in statuses)


# --- the health check of the container ---

CHECKS = 100
MOST_MS_A_CHECK = 17


def checking() -> list[Measured]:
    """The check of compose.yaml, as it is while the container is healthy, but without its long sleep."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    _, *command = compose["services"]["function"]["healthcheck"]["test"]
    with tempfile.TemporaryDirectory() as name, server_of("ours", Path(name)) as server:
        wait_for_2xx(server.port, post("/fit", BODY))
        healthy = Path(name, "healthy")
        healthy.touch()
        for word, here in (("sleep 58", "sleep 0"), ("/8080", f"/{server.port}"), ("/tmp/healthy", str(healthy))):  # noqa: S108
            if word not in command[-1]:
                raise RuntimeError(f"the health check of compose.yaml has no {word!r} any more")
            command[-1] = command[-1].replace(word, here)
        before, children = cpu_s(server.process.pid), children_s()
        for _ in range(CHECKS):
            subprocess.run(command, check=True)
        check_ms = 1000 * (children_s() - children) / CHECKS
        server_ms = 1000 * (cpu_s(server.process.pid) - before) / CHECKS
    return [
        Measured(
            "CPU of a health check of the container, without the engine's",
            f"{check_ms + server_ms:.1f} ms, of which the server {server_ms:.1f} ms",
            f"≤ {MOST_MS_A_CHECK} ms",
            check_ms + server_ms <= MOST_MS_A_CHECK,
        )
    ]


CALLS = 300


def calling() -> list[Measured]:
    """A dry run as the page asks for it, over its kept connections and over a new one each time."""
    # Imported here: only this benchmark needs Streamlit.
    from weighbridge_form.account import KEPT

    times: tuple[list[float], list[float]] = ([], [])
    with (
        tempfile.TemporaryDirectory() as name,
        server_of("ours", Path(name)) as server,
        contextlib.ExitStack() as stack,
    ):
        wait_for_2xx(server.port, post("/fit", BODY))
        target = Target(f"http://127.0.0.1:{server.port}", local_key(local_key_path(os.environ)))
        clients = [
            stack.enter_context(Client(target, transport=httpx.HTTPTransport(limits=limits, trust_env=False)))
            for limits in (KEPT, httpx.Limits(max_keepalive_connections=0))
        ]
        for _ in range(CALLS):
            for client, taken in zip(clients, times, strict=True):
                started = time.perf_counter()
                client.post(BODY, dry_run=True)
                taken.append(1000 * (time.perf_counter() - started))
    kept_ms, new_ms = map(statistics.median, times)
    return [Measured("a dry run of the page", f"{kept_ms:.1f} ms; over a new connection {new_ms:.1f} ms")]


def children_s() -> float:
    """The processor time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def servers() -> Iterator[dict[str, Server]]:
    """The empty functions and ours, each of them answering."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(server_of(name, Path(folder))) for name in (*EMPTY, "ours")}
        for name, server in running.items():
            wait_for_2xx(server.port, post("/readings", BODY) if name == "ours" else post("/", b"{}"))
        yield running


def server_of(
    name: str, folder: Path, more: Mapping[str, str] = {}, errors: IO[bytes] | None = None
) -> AbstractContextManager[Server]:
    if name == "ours":
        port = free_port()
        return serve(server_command("127.0.0.1", port), port, folder, more, errors)
    source = folder / f"{name.replace(' ', '_')}.py"
    source.write_text(EMPTY[name])
    return framework(source, folder, *(["--asgi"] if "asgi" in name else []), more=more, errors=errors)


def framework(
    source: Path, folder: Path, *options: str, more: Mapping[str, str] = {}, errors: IO[bytes] | None = None
) -> AbstractContextManager[Server]:
    """A function on a server of functions-framework, without libraries that uvicorn would use if they were there."""
    hidden = folder / "hidden"
    hidden.mkdir(exist_ok=True)
    for library in ("httptools", "uvloop"):
        (hidden / f"{library}.py").write_text("raise ImportError\n")
    path = os.pathsep.join([str(hidden), *filter(None, [os.environ.get("PYTHONPATH")])])
    port, program = free_port(), str(Path(sys.executable).with_name("functions-framework"))
    words = ["--source", str(source), "--target", "handle", "--host", "127.0.0.1", "--port", str(port)]
    return serve([program, *options, *words], port, folder, {"PYTHONPATH": path, **more}, errors)


@contextmanager
def serve(
    command: Sequence[str],
    port: int,
    folder: Path,
    more: Mapping[str, str] = {},
    errors: IO[bytes] | None = None,
) -> Iterator[Server]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "GARMIN_"))}
    environment: Mapping[str, str] = kept | {"WORKERS": "1", "THREADS": "8", "WEIGHBRIDGE_FOLDER": str(folder), **more}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
    try:
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait()


def wait_for_2xx(port: int, request: bytes) -> None:
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(request)
                if read_answer(connection).startswith(b"HTTP/1.1 2"):
                    return
        except OSError:
            time.sleep(0.002)
    raise RuntimeError("no 2xx within 30 s")


def memory_mib(pid: int) -> float:
    """Proportional set size of the server and its worker, which counts shared pages once."""
    rollups = (Path(f"/proc/{each}/smaps_rollup").read_text() for each in family(pid))
    return sum(int(rollup.partition("Pss:")[2].split()[0]) for rollup in rollups) / 1024


# --- many ---


def many() -> list[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        bridge = Weighbridge(TEMPLATE, Folder(Path(folder)), ZoneInfo("UTC"))

        def weigh(count: int) -> float:
            payloads = [PAYLOAD | {"measured_at": 1_700_000_000 + 60 * n} for n in range(count)]
            started = time.perf_counter()
            for start in range(0, count, READINGS_PER_FILE):
                bridge.fit(payloads[start : start + READINGS_PER_FILE], now=NOW)
            return (time.perf_counter() - started) / count * 1e6

        def a_hundred() -> float:
            return statistics.fmean(weigh(100) for _ in range(20))

        weigh(1000)
        few, lots = [], []
        for _ in range(5):
            few.append(a_hundred())
            lots.append(weigh(10_000))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(5):
            weigh(10_000)
        growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / before
    ratio = statistics.median(lots) / statistics.median(few)
    return [
        Measured(
            "time per reading of 10,000, against 100",
            f"{statistics.median(lots):.0f} µs against {statistics.median(few):.0f} µs, {ratio:.2f} ×",
            "within 20 %",
            0.8 <= ratio <= 1.2,
        ),
        Measured("peak memory after 50,000 more readings", f"{growth:.2f} ×", "≤ 1.05 ×", growth <= 1.05),
    ]


# --- what is held already ---

READINGS, HELD = 200, 5000
MOST_MS_AMONG_HELD = 210
KEPT = 50_000


class Holding:
    """A session with a Garmin Connect in memory, which holds entries around the readings and shows those once they are
    uploaded. What it answers is made beforehand, so that it takes no time."""

    sign_in_again = ""

    def __init__(self, readings: Sequence[Reading], between: timedelta) -> None:
        others = [entry_of(NOW + between * number, 80 + number % 100 / 10) for number in range(HELD)]
        uploaded = [entry_of(reading.measured_at, float(reading.weight_kg)) for reading in readings]
        self._lists = [
            json.dumps({"dailyWeightSummaries": [{"allWeightMetrics": entries}]}).encode()
            for entries in (others, others + uploaded)
        ]

    def request(
        self,
        method: str,
        path: str,  # noqa: ARG002
        *,
        params: Mapping[str, str] | None = None,  # noqa: ARG002
        file: tuple[str, bytes] | None = None,  # noqa: ARG002
    ) -> GarminResponse:
        if method == "POST":
            del self._lists[0]
            return GarminResponse(202, {}, b"")
        return GarminResponse(200, {}, self._lists[0])

    def token_days_left(self) -> None:
        return None

    def renewal_failure(self) -> str:
        return ""

    def ended(self, delivery: str, outcomes: Collection[Outcome]) -> None: ...

    def last_outcome(self, delivery: str) -> LastOutcome:  # noqa: ARG002
        return LastOutcome()

    def last_success_at(self) -> None:
        return None


def entry_of(at: datetime, weight_kg: float) -> dict[str, object]:
    ms, values = round(at.timestamp() * 1000), {"weight": 1000 * weight_kg, "bodyFat": 18.2, "bmi": 22.799999237060547}
    composition = {"bodyWater": 56.4, "boneMass": 3400, "muscleMass": 63200, "visceralFat": None}
    return {"samplePk": ms, "calendarDate": at.date().isoformat(), "timestampGMT": ms} | values | composition


def held() -> list[Measured]:
    readings = [
        Reading(measured_at=NOW + timedelta(days=number), weight_kg=Decimal(80), body_fat_percent=Decimal("18.2"))
        for number in range(READINGS)
    ]
    rows = []
    # Entries that are at other instants, and entries of which some are within the window.
    for what, between in (("none near", timedelta(days=400)), ("some within a window", timedelta(minutes=57))):
        taken = []
        # Each delivery changes what its Garmin holds; the last one is for a profile.
        connects = [GarminConnect(Holding(readings, between), name="bench", confirm_s=5, join_s=600) for _ in range(6)]

        def deliver(connects: list[GarminConnect] = connects) -> Mapping[Reading, Outcome]:
            return connects.pop().deliver(readings, Prover(TEMPLATE), replace=False)

        for _ in range(5):
            started = time.process_time()
            outcomes = deliver()
            taken.append(1000 * (time.process_time() - started))
            if len(outcomes) != READINGS:
                raise RuntimeError("a reading has no outcome")
        rows.append(
            Measured(
                f"CPU of {READINGS} readings against {HELD} held entries, {what}",
                f"{min(taken):.0f} ms",
                f"≤ {MOST_MS_AMONG_HELD} ms",
                min(taken) <= MOST_MS_AMONG_HELD,
                lambda deliver=deliver: parts(most(modules_ms(deliver)), "ms"),  # type: ignore[misc]  # a lambda's default
            )
        )
    return rows


def keeping() -> list[Measured]:
    """One reading more, in an empty folder and in one with many kept files."""
    taken: dict[int, float] = {}
    for count in (0, KEPT):
        with tempfile.TemporaryDirectory() as place:
            folder = Folder(Path(place), join_s=60)
            for number in range(count):
                at = NOW - timedelta(minutes=115 * number)
                path = Path(place, f"{at:{MONTH}}", f"weigh-in_{at:{INSTANT}}_{number:012x}.fit")
                path.parent.mkdir(exist_ok=True)
                path.touch()
            times = []
            for number in range(20):
                reading = Reading(measured_at=NOW - timedelta(days=100 * number, seconds=99), weight_kg=Decimal(80))
                started = time.process_time()
                folder.deliver([reading], Prover(TEMPLATE), replace=False)
                times.append(1000 * (time.process_time() - started))
            taken[count] = statistics.median(times)
    return [
        Measured(
            f"CPU to keep a reading among {KEPT} kept files, against none",
            f"{taken[KEPT]:.1f} ms against {taken[0]:.1f} ms, {taken[KEPT] / taken[0]:.1f} ×",
            "≤ 2 ×",
            taken[KEPT] <= 2 * taken[0],
        )
    ]


# --- a history ---


def history() -> list[Measured]:
    # Imported here: only this benchmark needs the stand-in for Garmin.
    from scripts.bench_history import PREVIEWED, SENT, measure

    measured = measure()
    ratio = measured.shuffled_s / measured.sorted_s
    return [
        Measured(
            f"preview of {PREVIEWED:,} rows, each proven",
            f"{measured.preview_s:.1f} s, {measured.preview_cpu_s:.1f} s of CPU", "≤ 10 s", measured.preview_s <= 10,
        ),
        Measured(
            f"rows per second sent, of {SENT:,}, to a Garmin that answers at once",
            f"{measured.sent_per_second:.0f}/s", "≥ 1,000/s", measured.sent_per_second >= 1_000,
        ),
        Measured(
            "shuffled rows, against the same rows in order of time",
            f"{measured.shuffled_s:.1f} s against {measured.sorted_s:.1f} s, {ratio:.2f} ×", "≤ 1.3 ×", ratio <= 1.3,
        ),
    ]  # fmt: skip


# --- the outbox ---


def outbox() -> list[Measured]:
    # Imported here: only this benchmark needs Postgres and its libraries.
    from _pytest.outcomes import Skipped

    from scripts.bench_outbox import CONCURRENCY, CONFIRMING_FUNCTION, measure, status_ms, wake_ups_per_minute
    from tests.e2e.parts.postgres import postgres

    try:
        with tempfile.TemporaryDirectory() as folder, postgres() as database:
            source = Path(folder, "confirming_main.py")
            source.write_text(CONFIRMING_FUNCTION)
            with framework(source, Path(folder)) as server:
                wait_for_2xx(server.port, post("/", b"{}"))
                address = f"http://127.0.0.1:{server.port}"
                rates = measure(database.new_database(), address)
                status = status_ms(database.new_database(), address)
                wake_ups = wake_ups_per_minute(database.new_database(), address)
    except Skipped as e:
        print(f"  skipped: {e}", file=sys.stderr)
        return []
    one = rates[1][1]
    queues = [
        Measured(
            f"outbox, {number} worker{'s' if number > 1 else ''} of {CONCURRENCY}: readings per second, of empty jobs",
            f"{ours:.0f}/s of {bare:.0f}/s, {100 * ours / bare:.0f} %; {ours / one:.1f} × one worker",
            # The goal is that of one worker. More of them share the machine with Postgres and the function.
            "≥ 200 %" if number == 1 else "",
            number > 1 or ours / bare >= 2,
        )
        for number, (bare, ours) in rates.items()
    ]
    return [
        *queues,
        Measured("outbox: status over 1,000,000 old rows", f"{status:.0f} ms", "< 100 ms", status < 100),
        Measured("outbox: wake-ups of an idle worker", f"{wake_ups:.0f} a minute", "≤ 300", wake_ups <= 300),
    ]


# --- the form ---


def form() -> list[Measured]:
    # Imported here: only this benchmark needs a browser and Streamlit.
    from _pytest.outcomes import Skipped

    from scripts.bench_form import measure, start_imports

    def of_the_start() -> list[Measured]:
        with tempfile.TemporaryDirectory() as folder, server_of("ours", Path(folder)) as server:
            wait_for_2xx(server.port, post("/readings?dry_run=true", BODY))
            bare, ours = (imports_ms(text) for text in start_imports(f"http://127.0.0.1:{server.port}"))
        return imports(ours, bare)

    def of_the_submission() -> list[Measured]:
        rest = [each.submit_s - each.fields_s for each in (ours, bare)]
        return [
            Measured("  of which the ten fields", f"{ours.fields_s:.2f} s against {bare.fields_s:.2f} s"),
            Measured("  of which the button to the receipt", f"{rest[0]:.2f} s against {rest[1]:.2f} s"),
        ]

    try:
        with tempfile.TemporaryDirectory() as folder, server_of("ours", Path(folder)) as server:
            wait_for_2xx(server.port, post("/readings?dry_run=true", BODY))
            bare, ours = measure(f"http://127.0.0.1:{server.port}")
    except Skipped as e:
        print(f"  skipped: {e}", file=sys.stderr)
        return []
    return [
        Measured(
            "form, start to the page, against a bare page of Streamlit",
            f"{ours.start_s:.2f} s against {bare.start_s:.2f} s, {ours.start_s / bare.start_s:.2f} ×",
            "≤ 1.8 ×",
            ours.start_s / bare.start_s <= 1.8,
            of_the_start,
        ),
        Measured(
            "form, from its address to the first field",
            f"{ours.open_s:.2f} s (a bare page of Streamlit: {bare.open_s:.2f} s)",
            "≤ 1.5 s",
            ours.open_s <= 1.5,
        ),
        Measured(
            "form, the same in a browser that has its files",
            f"{ours.open_again_s:.2f} s (a bare page of Streamlit: {bare.open_again_s:.2f} s)",
            "≤ 1.5 s",
            ours.open_again_s <= 1.5,
        ),
        Measured(
            "form, ten fields to the receipt, against the same",
            f"{ours.submit_s:.2f} s against {bare.submit_s:.2f} s, {ours.submit_s / bare.submit_s:.2f} ×",
            "≤ 2 ×",
            ours.submit_s / bare.submit_s <= 2,
            of_the_submission,
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        print(json.dumps(generate_load(int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read())))
    else:
        sys.exit(main())
