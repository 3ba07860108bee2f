#!/bin/sh
# pyproject.toml -> the lock files: every package pinned with its hashes, for every Python from 3.11 on and every
# system. No address of an index is written, so that each machine uses its own.
#
#   requirements.txt          what users run: the function, the command line, the outbox, the poller, the import
#   requirements-form.txt     the same, and what the page needs
#   requirements-browser.txt  the same, and what drives a browser
#   requirements-dev.txt      all of that, and what tests and benchmarks need
#
# Strategy: a list names the lists that it stands on (-r), and then only what it adds. So nothing is pinned twice, and
# pip installs any of them alone.
set -eu
uv=$1

# LIST "BASE …" ARGUMENT…
lock() {
    list=$1 bases=$2
    shift 2
    for base in $bases; do set -- "$@" --constraints "$base"; done
    # What is pinned stays pinned, unless pyproject.toml asks for another version.
    [ ! -e "$list" ] || grep -v '^-r' "$list" >"$list.new"
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "$list.new" "$@"
    {
        echo "# make lock"
        for base in $bases; do echo "-r $base"; done
        # Without what a base has already, under the same condition if there is one.
        awk '/^[a-z0-9]/ { known = $0 in pinned; if (!last) pinned[$0] } last && !known' \
            $(for base in $bases; do echo "last=0 $base"; done) last=1 "$list.new"
    } >"$list"
    rm "$list.new"
}

lock requirements.txt "" pyproject.toml --group build \
    --extra fitdays --extra garminconnect --extra google --extra history --extra outbox --extra sdk
lock requirements-form.txt requirements.txt pyproject.toml --extra form
lock requirements-browser.txt requirements.txt pyproject.toml --extra browser
lock requirements-dev.txt "requirements.txt requirements-form.txt requirements-browser.txt" pyproject.toml --extra all --group dev
# Home Assistant pins what it needs, old versions too, so it has an environment of its own.
lock tests/e2e/requirements-home-assistant.txt "" tests/e2e/home-assistant.in
