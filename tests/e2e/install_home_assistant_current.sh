#!/bin/sh
# A Debian trixie in a folder, with its Python 3.13 and a Home Assistant that needs it. Root on Debian only.
# No mount is left behind: what is mounted for the installation is so in a namespace of its own, and gone with it.
set -eu
root=$1 version=$2
[ "$(id -u)" -eq 0 ] || { echo "Only root can make a Debian root: run it with sudo" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "debootstrap is not installed (Debian: apt install debootstrap)" >&2; exit 1; }
if [ ! -e "$root/.bootstrapped" ]; then
    rm -rf --one-file-system "$root"
    mkdir -p "$(dirname "$root")"
    debootstrap --variant=minbase \
        --include=python3,python3-venv,python3-dev,build-essential,ca-certificates,libffi-dev,libssl-dev,libjpeg-dev,zlib1g-dev \
        trixie "$root" >"$root.log" 2>&1 || { tail "$root.log" >&2; exit 1; }
    # The machine's own certificates and package index, where it has such.
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    touch "$root/.bootstrapped"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/pip.conf"
env -u PIP_FIND_LINKS unshare -m sh -euc '
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    chroot "$1" sh -euc "
        python3 -m venv /ha
        /ha/bin/pip install --quiet --disable-pip-version-check homeassistant==$2
        constraints=\$(/ha/bin/python -c \"import homeassistant, pathlib; print(pathlib.Path(homeassistant.__file__).with_name('"'package_constraints.txt'"'))\")
        /ha/bin/pip install --quiet --disable-pip-version-check -c \$constraints paho-mqtt home-assistant-frontend jsonpath xmltodict \\
            sqlalchemy fnv-hash-fast psutil-home-assistant psycopg2-binary
        "
' sh "$root" "$version"
