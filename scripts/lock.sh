#!/bin/sh
# pyproject.toml -> the lock files: every package pinned with its hashes, for Python 3.11 and newer, and for every
# system. They hold no index URL, so each machine uses its own index.
#
#   requirements.txt          what users run: the function, the command line, the outbox, the poller, the import
#   requirements-form.txt     the same, plus the packages of the page
#   requirements-browser.txt  the same as the first, plus the packages that drive a browser
#   requirements-dev.txt      all of these, plus the packages for tests and benchmarks
#   scripts/requirements-supply.txt  the tools of make sbom and make audit, in an environment of their own
#
# Strategy: a list includes the lists that it builds on (-r), then pins only what it adds. So no package is pinned
# twice, and pip can install each list alone.
set -eu
uv=$1

# LIST "BASE …" ARGUMENT…
lock() {
    list=$1 bases=$2
    shift 2
    for base in $bases; do set -- "$@" --constraints "$base"; done
    # Keep the pinned versions, unless pyproject.toml requires others.
    [ ! -e "$list" ] || grep -v '^-r' "$list" >"$list.new"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "$list.new" "$@"
    {
        echo "# make lock"
        for base in $bases; do echo "-r $base"; done
        # Leave out what a base already pins under the same condition.
        awk '/^[a-z0-9]/ { known = $0 in pinned; if (!last) pinned[$0] } last && !known' \
            $(for base in $bases; do echo "last=0 $base"; done) last=1 "$list.new"
    } >"$list"
    rm "$list.new"
}

lock requirements.txt "" pyproject.toml --group build \
    --extra fitdays --extra garminconnect --extra google --extra history --extra notify --extra outbox \
    --extra sdk
lock requirements-form.txt requirements.txt pyproject.toml --extra form
lock requirements-browser.txt requirements.txt pyproject.toml --extra browser
lock requirements-dev.txt "requirements.txt requirements-form.txt requirements-browser.txt" pyproject.toml --extra all --group dev
lock scripts/requirements-supply.txt "" scripts/supply.in
