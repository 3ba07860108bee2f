"""actionlint, built from its source by the hashes in tests/e2e/actionlint, reads the workflows of GitHub."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

from tests.e2e.parts import find_program, unavailable

ROOT = Path(__file__).parents[2]
MODULE = Path(__file__).with_name("actionlint")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "weighbridge"


def actionlint() -> Path:
    """The program, built once for these hashes."""
    recipe = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes()).hexdigest()[:12]
    program = CACHE / f"actionlint-{recipe}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "actionlint.lock"):
        if not program.exists():
            go = find_program("go", Path("/usr/local/go/bin"), package="golang")
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                built = Path(folder, "actionlint")
                command = [go, "build", "-mod=readonly", "-o", built, "github.com/rhysd/actionlint/cmd/actionlint"]
                done = subprocess.run(command, cwd=MODULE, capture_output=True, text=True, timeout=900, check=False)
                if done.returncode:
                    unavailable(f"go could not build actionlint. Is this machine online? {done.stderr[-500:]}")
                built.replace(program)
    return program


def test_actionlint_finds_nothing() -> None:
    """actionlint finds nothing in the workflows: no unknown key, input, context, permission or label."""
    subprocess.run([actionlint()], cwd=ROOT, check=True)


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    """actionlint names a permission that does not exist, so it reads the files."""
    workflow = tmp_path / "release.yml"
    text = (ROOT / ".github/workflows/release.yml").read_text()
    workflow.write_text(text.replace("id-token: write", "id-tokens: write", 1))
    done = subprocess.run([actionlint(), workflow], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert 'unknown permission scope "id-tokens"' in done.stdout
