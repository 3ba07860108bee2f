#!/bin/sh
# tests/test_garminconnect.py and tests/test_http_sign_in.py with the Python 3.13 of a Debian root (see install_home_assistant_current.sh, which makes
# it): garminconnect needs 3.12 or newer. Root on Debian only; what is mounted is gone with the namespace.
set -eu
root=$1 repository=$2
shift 2
[ -e "$root/.bootstrapped" ] || { echo "There is no Debian root yet: make test-ha-current" >&2; exit 1; }
mkdir -p "$root/weighbridge"
# Names that libcurl knows by itself, and the C library does not.
printf '127.0.0.1 localhost' >"$root/etc/hosts"
for service in sso connectapi diauth connect personal.connectapi mobile.integration; do
    printf ' %s.localhost' "$service" >>"$root/etc/hosts"
done
exec env -u PIP_FIND_LINKS unshare -m sh -euc '
    root=$1 repository=$2
    shift 2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --bind "$repository" "$root/weighbridge"
    exec chroot "$root" sh -euc "
        cd /weighbridge
        [ -e /weighbridge-venv/bin/pip ] || python3 -m venv /weighbridge-venv
        /weighbridge-venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
        # Without it every test would be skipped.
        /weighbridge-venv/bin/python -c \"import garminconnect\"
        export PYTHONDONTWRITEBYTECODE=1
        exec /weighbridge-venv/bin/python -m pytest -p no:cacheprovider tests/test_garminconnect.py tests/test_http_sign_in.py \"\$@\"
    " sh "$@"
' sh "$root" "$repository" "$@"
