#!/bin/sh
# test_garminconnect_current.sh ROOT ARGUMENT…
#
# tests/test_garminconnect.py and tests/test_http_sign_in.py with the Python 3.13 of a Debian root (see
# install_home_assistant.sh, which makes it): garminconnect needs 3.12 or newer.
set -eu
root=$1
shift
# Names that libcurl knows by itself, and the C library does not.
printf '127.0.0.1 localhost' >"$root/etc/hosts"
for service in sso connectapi diauth connect personal.connectapi mobile.integration; do
    printf ' %s.localhost' "$service" >>"$root/etc/hosts"
done
exec "$(dirname "$0")/in_root.sh" "$root" sh -euc '
    [ -e /weighbridge-venv/bin/pip ] || python3 -m venv /weighbridge-venv
    /weighbridge-venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
    # Without it every test would be skipped.
    /weighbridge-venv/bin/python -c "import garminconnect"
    export PYTHONDONTWRITEBYTECODE=1
    exec /weighbridge-venv/bin/python -m pytest -p no:cacheprovider tests/test_garminconnect.py tests/test_http_sign_in.py "$@"
' sh "$@"
