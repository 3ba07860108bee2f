#!/bin/sh
# The tests of the integration, inside a Debian root (see ../e2e/install_home_assistant.sh): ARGUMENT…
set -eu
export PYTHONPATH=/weighbridge/function:/weighbridge PYTHONDONTWRITEBYTECODE=1
exec /phacc/bin/python -m pytest -n 2 -c tests/home_assistant/pytest.ini tests/home_assistant "$@"
