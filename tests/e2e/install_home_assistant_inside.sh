#!/bin/sh
# The second half of install_home_assistant.sh, run inside the Debian root: TESTS HOME_ASSISTANT
set -eu
tests=$1 home_assistant=$2
#: As Home Assistant itself does. uv takes a third of pip's time here.
export UV_SYSTEM_CERTS=true UV_NATIVE_TLS=true UV_NO_PROGRESS=true HOME=/root

# VENV: with uv in it
venv() {
    [ -x "$1/bin/uv" ] || { python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check uv; }
}

# VENV ARGUMENT…
install() {
    python=$1/bin/python uv=$1/bin/uv
    shift
    # The package index of this machine, where pip has one.
    index=$("$python" -m pip config get global.index-url 2>/dev/null || true)
    env ${index:+UV_DEFAULT_INDEX="$index"} "$uv" pip install --quiet --compile-bytecode --python "$python" "$@"
}

constraints() {
    "$1/bin/python" -c 'import homeassistant, pathlib; print(pathlib.Path(homeassistant.__file__).with_name("package_constraints.txt"))'
}

venv /phacc
install /phacc "pytest-homeassistant-custom-component==$tests"
/phacc/bin/python - >/phacc/function.txt <<END
import tomllib
print(*tomllib.load(open("/weighbridge/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")
END
install /phacc --constraints "$(constraints /phacc)" --requirements /phacc/function.txt \
    trustme mypy paho-mqtt hassil home-assistant-intents zeroconf ifaddr

[ -n "$home_assistant" ] || exit 0
venv /ha
install /ha "homeassistant==$home_assistant"
# What the integrations that start by default and those of the tests would otherwise install while it runs.
/ha/bin/python - >/ha/integrations.txt <<END
import json
from pathlib import Path
from homeassistant import bootstrap, components

def requirements(domain, seen):
    manifest = json.loads((Path(components.__path__[0]) / domain / "manifest.json").read_text())
    seen.add(domain)
    yield from manifest.get("requirements", ())
    for other in manifest.get("dependencies", ()):
        if other not in seen:
            yield from requirements(other, seen)

seen = set()
for domain in sorted(bootstrap.DEFAULT_INTEGRATIONS | {"hassio", "history", "mqtt", "recorder", "rest", "stream", "zeroconf"}):
    print(*requirements(domain, seen), sep="\n")
END
# And what the function needs, which may run inside it.
install /ha --constraints "$(constraints /ha)" --requirements /ha/integrations.txt --requirements /phacc/function.txt \
    psycopg2-binary
