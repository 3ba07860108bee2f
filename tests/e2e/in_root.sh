#!/bin/sh
# in_root.sh ROOT COMMAND…
#
# Runs the command in a Debian root (see install_home_assistant.sh) with this checkout at /weighbridge as its working
# folder, and the folder $CONFIG, if set, at /config. Root on Debian only. What is mounted is so in a namespace of its own, and
# gone with it.
set -eu
root=$1
shift
[ -e "$root/.bootstrapped" ] || { echo "There is no Debian root in $root yet (see CONTRIBUTING.md)" >&2; exit 1; }
exec env -u PIP_FIND_LINKS -u VIRTUAL_ENV -u PYTHONPATH unshare -m sh -euc '
    root=$1 repository=$2
    shift 2
    mount --make-rprivate /
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mkdir -p "$root/weighbridge" "$root/config"
    mount --bind "$repository" "$root/weighbridge"
    [ -z "${CONFIG-}" ] || mount --bind "$CONFIG" "$root/config"
    exec chroot "$root" sh -euc "cd /weighbridge; export HOME=/root; exec \"\$@\"" sh "$@"
' sh "$root" "$(realpath "$(dirname "$0")/../..")" "$@"
