#!/bin/sh
# Take out of /weighbridge what no container uses, and compile the rest. The Dockerfile runs it.  finish.sh UNUSED
#
# Rule: a package is either whole or in the list UNUSED, except for parts that nothing imports: tests, what only a
# compiler or a type checker reads, and debugging symbols, a quarter of all. Each license stays, in its .dist-info.
# The same packages give the same bytes: no bytecode holds a time, and each file has that of the Dockerfile.
set -eu
/pip/bin/pip --python /weighbridge/bin/python3 uninstall --quiet --yes --requirement "$1"

packages=$(echo /weighbridge/lib/python3.*/site-packages)
find "$packages" -type d -name tests -prune -exec rm -r {} +
find "$packages" -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.[ch]' \) -delete
# Apprise's translations, whose compiled form stays.
find "$packages" -path '*/apprise/i18n/*' -name '*.po*' -delete

# Playwright's types, and the pages of its recorder and its viewer.
[ ! -e "$packages/playwright" ] || (cd "$packages/playwright/driver/package" && rm -r types lib/vite)

# psycopg's own copy of OpenSSL makes way for that of Debian, which is the one of Python: there is one in a process, and
# it is updated with the base image. Both are of a branch whose interface is fixed (3.5).
for name in libcrypto libssl; do
    copy=$(find "$packages" -path "*/psycopg_binary.libs/$name-*.so.3")
    [ -z "$copy" ] || ln -sf "$(ldconfig -p | sed -n "s|.*$name.so.3 .* => ||p" | head -n 1)" "$copy"
done

# What auditwheel has put into *.libs has been moved about within the file, and may not survive.
find "$packages" -type f \( -name '*.so' -o -name '*.so.*' \) ! -path '*.libs/*' -exec strip --strip-unneeded {} +
[ ! -e "$packages/playwright" ] || strip --strip-unneeded "$packages/playwright/driver/node"

# Python believes such bytecode without a look at the source. olefile2.py is of Python 2.
find "$packages" -type d -name __pycache__ -prune -exec rm -r {} +
PYTHONHASHSEED=0 /weighbridge/bin/python3 -m compileall -q -x '/olefile2\.py$' --invalidation-mode unchecked-hash "$packages"
find "$packages" -type d -empty -delete
find /weighbridge -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
