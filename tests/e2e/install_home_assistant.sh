#!/bin/sh
# install_home_assistant.sh ROOT SUITE TESTS [HOME_ASSISTANT]
#
# A Debian in the folder ROOT with the Python of SUITE, and in it:
#   /ha     Home Assistant of this version, with what its integrations in these tests would install while it runs
#   /phacc  the tools that test an integration (they pin a Home Assistant of their own), and the function's dependencies
#
# What is there already is taken, unless it was made for other versions or by other lines of these scripts.
#
# Root on Debian only.
set -eu
root=$1 suite=$2 tests=$3 home_assistant=${4-}
here=$(dirname "$0")
made_for=$(echo "$*" | cat - "$0" "$here/install_home_assistant_inside.sh" "$here/../../pyproject.toml" | sha256sum)
[ "$(id -u)" -eq 0 ] || { echo "Only root can make a Debian root: run it with sudo" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "debootstrap is not installed (Debian: apt install debootstrap)" >&2; exit 1; }
if [ "$(cat "$root/.bootstrapped" 2>/dev/null)" != "$made_for" ]; then
    # An older debootstrap does not know a newer suite, and makes it like the one that is never released.
    script=/usr/share/debootstrap/scripts/$suite
    [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
    # The mirror of this machine, where it names one.
    mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
    rm -rf --one-file-system "$root"
    mkdir -p "$(dirname "$root")"
    # A few packages have no wheel for the Python there.
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,python3-dev,g++ \
        "$suite" "$root" "${mirror:-http://deb.debian.org/debian}" "$script" >"$root.log" 2>&1 ||
        { tail "$root.log" >&2; exit 1; }
    # The machine's own certificates.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    echo "$made_for" >"$root/.bootstrapped"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
exec "$here/in_root.sh" "$root" tests/e2e/install_home_assistant_inside.sh "$tests" "$home_assistant"
