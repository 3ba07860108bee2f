"""`make home-assistant-app`: the app as a folder that Home Assistant builds by itself, in dist/home_assistant_app.

Facts: the Supervisor builds an app without an `image` from the Dockerfile in its folder, and sends the builder nothing
else. It builds the last target, which in our Dockerfile is the app.

Strategy: the folder is that of the app, with what the Dockerfile needs. .dockerignore already says what that is.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
APP = ROOT / "integrations/home_assistant_app"


def main(target: Path = ROOT / "dist/home_assistant_app") -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(APP, target)
    config = target / "config.yaml"
    text, count = re.subn(r"(?m)^image: .*\n", "", config.read_text(encoding="utf-8"))
    if count != 1:
        raise LookupError("config.yaml has no line with the image")
    config.write_text(text, encoding="utf-8")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for pattern in ("Dockerfile", ".dockerignore", *(line[1:] for line in ignored if line.startswith("!"))):
        for path in ROOT.glob(pattern):
            copy = target / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if copy != target / "README.md":  # that of the app, which its store shows
                shutil.copyfile(path, copy)


if __name__ == "__main__":
    main()
    print("Written: dist/home_assistant_app. Copy it to the folder addons of Home Assistant.")
