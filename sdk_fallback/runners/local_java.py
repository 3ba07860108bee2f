"""FitCSVTool on the Java of this computer.

Facts:
- Garmin's license is not transferable, so the jar is never part of this repository. The user names one
  (`FIT_CSV_TOOL_JAR`), or Maven downloads it from Maven Central into the user's cache.
- The jar from Maven Central has no Main-Class, so the class is always named.
- A Git LFS pointer saved as a jar is text; a jar starts with "PK".
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import NothingAvailable, RunnerUnusable
from ..fitcsvtool import ARTIFACT, MAIN_CLASS
from ..settings import text_of
from .port import Ran, ToolRun

DEADLINE_S = 120.0
DOWNLOAD_S = 180.0


class LocalJava:
    """A `Runner`."""

    name = "the local Java"

    def __init__(self, java: str, jar: Path, *, deadline_s: float = DEADLINE_S) -> None:
        self.java, self.jar = java, jar
        self._deadline_s = deadline_s

    def run(self, files: Mapping[str, bytes], commands: Sequence[Sequence[str]]) -> Ran:
        """See `port.Runner`."""
        end = time.monotonic() + self._deadline_s
        with tempfile.TemporaryDirectory(prefix="fit-csv-tool-") as name:
            folder = Path(name)
            for file, content in files.items():
                (folder / file).write_bytes(content)
            outcomes = [self._run_once(folder, arguments, end) for arguments in commands]
            new = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in files}
        return Ran(new, outcomes)

    def links(self) -> Iterator[str]:
        """See `port.Runner`."""
        yield f"Java is {self.java}."
        yield f"The jar is {self.jar}."

    def _run_once(self, folder: Path, arguments: Sequence[str], end: float) -> ToolRun:
        try:
            done = subprocess.run(
                [self.java, "-cp", str(self.jar), MAIN_CLASS, *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=max(end - time.monotonic(), 0.001),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunnerUnusable(
                f"FitCSVTool did not finish within {self._deadline_s:g} s on {self.name} and was stopped."
            ) from None
        except OSError as e:
            message = f"Java cannot be started ({self.java}: {e.strerror}). Install Java 8 or newer."
            raise RunnerUnusable(message) from e
        return ToolRun(done.returncode, done.stdout.decode("utf-8", "replace"))


def local_java(environment: Mapping[str, str], *, chosen: bool) -> LocalJava:
    """The runner on this computer.

    Raises `RunnerUnusable`, or `NothingAvailable` if Java or the jar is missing and neither was asked for.
    """
    named = text_of("FIT_CSV_TOOL_JAR", environment)
    missing = RunnerUnusable if chosen or named else NothingAvailable
    java = _java(environment)
    if java is None:
        raise missing("There is no Java here. Install Java 8 or newer (Debian: apt install default-jre-headless).")
    jar = Path(named).expanduser() if named else jar_from_maven(environment, missing)
    check_jar(jar)
    return LocalJava(java, jar)


def check_jar(jar: Path) -> None:
    """Raise `RunnerUnusable` if the file cannot be a jar."""
    try:
        with jar.open("rb") as file:
            start = file.read(40)
    except OSError as e:
        raise RunnerUnusable(
            f"The jar {jar} cannot be read ({e.strerror}). Set FIT_CSV_TOOL_JAR to FitCSVTool.jar."
        ) from e
    if start.startswith(b"version https://git-lfs"):
        raise RunnerUnusable(f"{jar} is a Git LFS pointer, not the jar itself. Fetch it with git lfs pull.")
    if not start.startswith(b"PK"):
        raise RunnerUnusable(f"{jar} is not a jar (it does not start with PK). Set FIT_CSV_TOOL_JAR to FitCSVTool.jar.")


def _java(environment: Mapping[str, str]) -> str | None:
    home = environment.get("JAVA_HOME")
    if home and (java := shutil.which("java", path=str(Path(home, "bin")))):
        return java
    return shutil.which("java", path=environment.get("PATH"))


def jar_from_maven(environment: Mapping[str, str], missing: type[RunnerUnusable], artifact: str = ARTIFACT) -> Path:
    """The jar in the user's cache. Maven downloads it if it is not there yet. Raises `missing`."""
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge"
    _, name, version = artifact.split(":")
    jar = cache / f"{name}-{version}.jar"
    if jar.exists():
        return jar
    maven = shutil.which("mvn", path=environment.get("PATH"))
    if maven is None:
        raise missing(
            "There is no FitCSVTool here. Set FIT_CSV_TOOL_JAR to the FitCSVTool.jar of Garmin's FIT SDK, or install "
            "Maven (Debian: apt install maven), which downloads it."
        )
    with tempfile.TemporaryDirectory(prefix="fit-csv-tool-") as folder:
        command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=DOWNLOAD_S, check=False, cwd=folder)
        except subprocess.TimeoutExpired:
            done = None
        downloaded = Path(folder, jar.name)
        if done is None or done.returncode != 0 or not downloaded.exists():
            raise missing(
                f"Maven could not download {artifact}. Try `mvn dependency:copy -Dartifact={artifact}`, or set "
                "FIT_CSV_TOOL_JAR to the FitCSVTool.jar of Garmin's FIT SDK."
            )
        cache.mkdir(parents=True, exist_ok=True)
        # Two runs at once may both download it; the replace is atomic.
        finished = cache / f".{jar.name}.{os.getpid()}"
        shutil.copyfile(downloaded, finished)
        finished.replace(jar)
    return jar
