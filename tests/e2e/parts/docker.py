"""A separate Docker engine for a test, and images built from the shipped Dockerfile.

Strategy: without a registry no image can be pulled. So the images that the Dockerfile and compose.yaml name are made
from Debian's packages under these names, and the shipped files run as they are. The engine runs in its own network
namespace, so this machine's network does not change.

Weakness: the images are not the official ones of Postgres and Mosquitto, and may differ from them. They cannot have
the digests of the shipped files, so the build and Compose are given the same names without digests.

Debian packages: docker.io iptables iproute2 buildah debootstrap; and Go, which builds Compose.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from tests.e2e.parts import find_program, unavailable, wait_until
from weighbridge import __version__

ROOT = Path(__file__).parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge"
#: Not in CACHE, which CI keeps from run to run.
BUILT = CACHE.with_name("weighbridge-built")
COMPOSE_MODULE = "github.com/docker/compose/v2/cmd@v2.40.3"
SUITE = "trixie"
#: The address that containers know as `host-gateway`: the engine's side of their network.
GATEWAY = "172.17.0.1"

#: The name in Dockerfile or compose.yaml -> Debian's packages, a command to prepare them, and the start command.
BASES: Mapping[str, tuple[str, str, str]] = {
    "python:3.13-slim-trixie": ("", "", "python3"),
    "postgres:17-trixie": (
        "postgresql",
        "install -d -o postgres -g postgres -m 3777 /var/lib/postgresql/data /run/postgresql",
        "/start-postgres",
    ),
    "eclipse-mosquitto:2.0.22": (
        "mosquitto mosquitto-clients",
        "install -d -o 1883 -g 1883 /mosquitto/data",
        "mosquitto",
    ),
}

#: As the official image does, the first start sets up the database on its socket only. Then the server listens.
START_POSTGRES = """#!/bin/sh
set -eu
export PATH=/usr/lib/postgresql/17/bin:$PATH PGDATA=/var/lib/postgresql/data
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    umask 077
    printf %s "$POSTGRES_PASSWORD" > /tmp/password
    initdb --encoding=UTF8 --locale=C.UTF-8 --username="$POSTGRES_USER" --pwfile=/tmp/password \\
        --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    pg_ctl -w -o "-c listen_addresses=" start >/dev/null
    [ "$POSTGRES_DB" = postgres ] || createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl -w stop >/dev/null
fi
exec postgres -c 'listen_addresses=*'
"""


#: The images of compose.yaml.
TARGETS = ("weighbridge", "weighbridge-browser", "weighbridge-form")


def documented(heading: str, kind: str = "console") -> list[str]:
    """The blocks of this kind below a heading of docs/docker.md; of commands, without the prompts."""
    text = (ROOT / "docs/docker.md").read_text()
    (section,) = re.findall(rf"(?ms)^#+ {re.escape(heading)}$(.*?)(?=^##|\Z)", text)
    return [re.sub(r"(?m)^\$ ", "", block) for block in re.findall(rf"(?ms)^```{kind}\n(.*?)^```", section)]


def without_digest(image: str) -> str:
    return image.partition("@")[0]


def run(*command: object, timeout_s: float = 600, said: str = "", **options: Any) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        input=said,
        text=True,
        timeout=timeout_s,
        check=False,
        **options,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} {command[1:8]} ended with {done.returncode}:\n{done.stdout[-3000:]}")
    return str(done.stdout)


class Engine:
    """A Docker engine, and Compose with the shipped file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        tags = {name: {"image": without_digest(one["image"])} for name, one in services.items() if "@" in one["image"]}
        (folder / "tags.yaml").write_text(yaml.safe_dump({"services": tags}))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WEIGHBRIDGE_", "GARMIN_"))},
            "DOCKER_HOST": f"unix://{folder}/docker.sock",
            "DOCKER_CONFIG": str(folder / "config"),
        }

    def docker(self, *arguments: object, **options: Any) -> str:
        return run("docker", *arguments, env=self._environment, **options)

    def shell(self, commands: str, *, cwd: Path, **settings: object) -> str:
        """Run the commands of a document in this folder, and stop at the first that fails."""
        environment = self._environment | {name: str(value) for name, value in settings.items()}
        return run("bash", "-eu", "-c", commands, env=environment, cwd=cwd)

    def compose(self, *arguments: object, **options: Any) -> str:
        """Run Compose with the shipped file, the test's additions (test.yaml) and its settings (.env)."""
        named = [word for file in self.files for word in ("-f", file)]
        return self.docker("compose", *named, "--env-file", self.folder / ".env", *arguments, **options)

    @property
    def files(self) -> list[Path]:
        return [ROOT / "compose.yaml", self.folder / "tags.yaml", self.folder / "test.yaml"]

    def container(self, service: str) -> dict[str, Any]:
        identifier = self.compose("ps", "--all", "--quiet", service).strip()
        found: dict[str, Any] = json.loads(self.docker("inspect", identifier))[0]
        return found


@contextmanager
def engine(context: Path, targets: Sequence[str] = TARGETS) -> Iterator[Engine]:
    """A Docker engine with the images of compose.yaml. Ours are built from the context, as archives in `folder`.

    While it runs, this thread is in the engine's network.
    """
    if os.geteuid() != 0:
        unavailable("a separate Docker engine needs root")
    for program, package in (("dockerd", "docker.io"), ("buildah", "buildah"), ("debootstrap", "debootstrap")):
        find_program(program, Path("/usr/sbin"), package=package)
    compose = compose_program()
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-engine-"))
    try:
        with ThreadPoolExecutor() as pool:
            bases = pool.map(base_image, BASES)
            built = pool.submit(built_images, folder, context, targets)
            archives = [*bases, *built.result()]
        (folder / "config" / "cli-plugins").mkdir(parents=True)
        (folder / "config" / "cli-plugins" / "docker-compose").symlink_to(compose)
        this = Engine(folder)
        with separate_network(), _daemon(this):
            for archive in archives:
                this.docker("load", "--quiet", "--input", archive)
            yield this
    finally:
        # A killed daemon may have left mounts. Nothing that is mounted is ever deleted.
        for mount in sorted(_mounts_below(folder), reverse=True):
            run("umount", "--lazy", mount)
        if not _mounts_below(folder):
            run("rm", "-rf", "--one-file-system", folder)


@contextmanager
def separate_network() -> Iterator[None]:
    """Put this thread, and everything that it starts or opens, into an empty network."""
    new_network = 0x40000000  # CLONE_NEWNET, see unshare(2)
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as outside:
        if libc.unshare(new_network) != 0:
            unavailable(f"cannot create a separate network: {os.strerror(ctypes.get_errno())}")
        try:
            run("ip", "link", "set", "lo", "up")
            yield
        finally:
            libc.setns(outside.fileno(), new_network)


@contextmanager
def _daemon(engine: Engine) -> Iterator[None]:
    folder = engine.folder
    driver = "overlay2" if can_overlay(folder) else "vfs"
    command = [
        *("dockerd", "--storage-driver", driver, "--data-root", str(folder / "data"), "--pidfile", str(folder / "pid")),
        *("--bip", f"{GATEWAY}/16", "--exec-root", str(folder / "exec"), "--host", f"unix://{folder}/docker.sock"),
    ]
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        wait_until("the engine answers", lambda: _answers(engine), 60)
        yield
    finally:
        with contextlib.suppress(Exception):
            engine.compose("down", "--volumes", "--timeout", "5")
        process.terminate()
        process.wait(timeout=60)


def _answers(engine: Engine) -> bool:
    try:
        engine.docker("version")
    except RuntimeError:
        return False
    return True


def _mounts_below(folder: Path) -> list[str]:
    mounts = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]


def can_overlay(folder: Path) -> bool:
    """Whether layers can be stacked here. If not, each is a copy of all layers below it, which is slow."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        lower, upper, work, merged = (Path(name, part) for part in ("lower", "upper", "work", "merged"))
        for part in (lower, upper, work, merged):
            part.mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        try:
            run("mount", "-t", "overlay", "-o", options, "overlay", merged)
        except RuntimeError:
            return False
        run("umount", merged)
        return True


def compose_program() -> Path:
    """Docker Compose, built from its source once, because the registries used here do not have it as a binary."""
    program = CACHE / COMPOSE_MODULE.rpartition("@")[2] / "docker-compose"
    with _once("compose"):
        if not program.exists():
            go = find_program("go", Path("/usr/local/go/bin"), package="golang")
            with tempfile.TemporaryDirectory() as folder:
                module, version = COMPOSE_MODULE.split("@")
                Path(folder, "go.mod").write_text("module build\n\ngo 1.24\n")
                run(go, "get", "-tool", f"{module}@{version}", cwd=folder)
                run(go, "build", "-o", "docker-compose", module, cwd=folder, timeout_s=1800)
                program.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(Path(folder, "docker-compose"), program)
    return program


def base_image(name: str) -> Path:
    """An archive of an image of this name, built once from Debian's packages."""
    packages, prepare, start = BASES[name]
    recipe = hashlib.sha256(f"{BASES[name]}{START_POSTGRES}".encode()).hexdigest()[:12]
    archive = CACHE / "images" / f"{name.replace(':', '-')}-{recipe}.tar"
    with _once(archive.stem):
        if not archive.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="weighbridge-base-") as folder:
                root = Path(folder, "root")
                _debian(root, packages)
                (root / "start-postgres").write_text(START_POSTGRES)
                (root / "start-postgres").chmod(0o755)
                if prepare:
                    run("chroot", root, *prepare.split())
                _commit(root, name, start, archive)
    return archive


def _debian(root: Path, packages: str) -> None:
    """Install a minimal Debian with Python, from the mirror that this machine uses."""
    mirrors = run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    mirror = next((uri for uri in mirrors if uri.rstrip("/").endswith("/debian")), "")
    if not mirror:
        unavailable("apt has no Debian mirror. Run apt-get update.")
    include = ",".join(["python3", "python3-venv", "ca-certificates", *packages.split()])
    run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, root, mirror)
    shutil.rmtree(root / "var" / "cache" / "apt", ignore_errors=True)
    shutil.rmtree(root / "var" / "lib" / "apt" / "lists", ignore_errors=True)


def _commit(root: Path, name: str, start: str, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="weighbridge-buildah-") as store:
        buildah = ("buildah", "--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", "vfs")
        run(*buildah, "from", "--name", "base", "scratch")
        # As an archive, which keeps the owner of each file.
        run("tar", "--create", "--numeric-owner", "--file", f"{store}/root.tar", "--directory", root, ".")
        run(*buildah, "add", "--quiet", "base", f"{store}/root.tar", "/")
        run(*buildah, "config", "--cmd", start, "base")
        run(*buildah, "commit", "--quiet", "--rm", "base", f"docker.io/library/{name}")
        partial = archive.with_suffix(".partial")
        run(*buildah, "push", "--quiet", f"docker.io/library/{name}", f"docker-archive:{partial}:{name}")
        partial.replace(archive)


def built_images(folder: Path, context: Path, targets: Sequence[str]) -> list[Path]:
    """Archives of the images that compose.yaml builds, from the shipped Dockerfile, in `folder`.

    What was built from the same context is taken again, so that several engines of one run need one build.
    """
    content = _digest(context)
    BUILT.mkdir(mode=0o700, parents=True, exist_ok=True)
    archives = [folder / f"{target}.tar" for target in targets]
    with _once("built"):
        missing = [target for target in targets if not (BUILT / f"{target}-{content}.tar").exists()]
        if missing:
            _build(folder, context, missing, content)
        for target, archive in zip(targets, archives, strict=True):
            _same_file(BUILT / f"{target}-{content}.tar", archive)
    return archives


def _digest(context: Path) -> str:
    """A digest of the names and the content of all files of a context that a build can see."""
    ignored = (context / ".dockerignore").read_text().splitlines()
    patterns = ["Dockerfile", ".dockerignore", *(line[1:] for line in ignored if line.startswith("!"))]
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in context.glob(pattern)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(context)} {content}\n".encode())
    return digest.hexdigest()[:12]


def _same_file(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copy(source, target)


def _build(folder: Path, context: Path, targets: Sequence[str], content: str) -> None:
    store = folder / "buildah"
    driver = "overlay" if can_overlay(folder) else "vfs"
    buildah = ("buildah", "--root", store / "root", "--runroot", store / "run", "--storage-driver", driver)
    python = "python:3.13-slim-trixie"
    run(*buildah, "pull", "--quiet", f"docker-archive:{base_image(python)}")
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    options = ("--isolation", "chroot", "--network", "host", "--pull-never", "--format", "docker", "--layers")
    for target in targets:
        run(
            *(*buildah, "bud", *options, "--volume", f"{certificates}:{certificates}:ro"),
            *("--build-arg", f"PYTHON={python}", "--target", target, "--tag", target, context),
            timeout_s=1800,
        )
        partial = BUILT / f"{target}.partial"
        partial.unlink(missing_ok=True)
        run(*buildah, "push", "--quiet", target, f"docker-archive:{partial}:{target}:{__version__}")
        # One of each: nobody else would delete those of earlier contexts.
        for earlier in BUILT.glob(f"{target}-????????????.tar"):
            earlier.unlink()
        partial.rename(BUILT / f"{target}-{content}.tar")
    run(*buildah, "rmi", "--all", "--force")


@contextmanager
def _once(what: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{what}.lock"):
        yield
