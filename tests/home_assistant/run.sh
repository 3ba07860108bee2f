#!/bin/sh
# run.sh [--coverage] ARGUMENT…
#
# The tests of the integration, inside a Debian root (see ../e2e/install_home_assistant.sh). With --coverage they fail
# unless they run every line of its flows, and 95 % of all lines.
set -eu
export PYTHONPATH=/weighbridge/function:/weighbridge PYTHONDONTWRITEBYTECODE=1 COVERAGE_FILE=/tmp/weighbridge-coverage
coverage=
if [ "${1-}" = --coverage ]; then
    shift
    coverage="--cov=custom_components.weighbridge --cov-config=tests/home_assistant/coverage.ini --cov-report=term-missing:skip-covered --cov-fail-under=95"
fi
# Two at a time. Those of a file share what it starts.
# shellcheck disable=SC2086 # several arguments
/phacc/bin/python -m pytest -n 2 --dist loadfile -c tests/home_assistant/pytest.ini tests/home_assistant $coverage "$@"
[ -z "$coverage" ] ||
    /phacc/bin/python -m coverage report --rcfile=tests/home_assistant/coverage.ini --fail-under=100 --show-missing --include="*/*_flow.py,*/repairs.py"
