#!/bin/sh
# pyproject.toml -> requirements*.txt: every package pinned with its hashes, for every Python from 3.11 on and
# every system. No address of an index is written, so that each machine uses its own.
set -eu
uv=$1
compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
        pyproject.toml --output-file "$output" "$@"
}
compile requirements.txt --extra garth
compile requirements-dev.txt --extra dev --constraints requirements.txt
compile requirements-outbox.txt --extra outbox --constraints requirements-dev.txt
compile requirements-e2e.txt --extra e2e --constraints requirements-dev.txt --constraints requirements-outbox.txt
compile requirements-bench.txt --extra bench --constraints requirements-e2e.txt
compile requirements-browser.txt --extra browser --constraints requirements-dev.txt
