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
        --output-file "$output" "$@"
}
compile requirements.txt pyproject.toml --extra garth
compile requirements-google.txt pyproject.toml --extra garth --extra google --constraints requirements.txt
compile requirements-garminconnect.txt pyproject.toml --extra garminconnect --constraints requirements.txt
compile requirements-dev.txt pyproject.toml --extra dev --constraints requirements.txt
compile requirements-outbox.txt pyproject.toml --extra outbox --constraints requirements-dev.txt
compile requirements-history.txt pyproject.toml --extra history --constraints requirements-dev.txt \
    --constraints requirements-outbox.txt
compile requirements-form.txt pyproject.toml --extra form --constraints requirements-dev.txt --constraints requirements-outbox.txt \
    --constraints requirements-history.txt
compile requirements-fitdays.txt pyproject.toml --extra fitdays --constraints requirements-dev.txt \
    --constraints requirements-outbox.txt
compile requirements-e2e.txt pyproject.toml --extra e2e --constraints requirements-dev.txt --constraints requirements-outbox.txt \
    --constraints requirements-form.txt --constraints requirements-history.txt --constraints requirements-fitdays.txt
compile requirements-bench.txt pyproject.toml --extra bench --constraints requirements-e2e.txt
compile requirements-browser.txt pyproject.toml --extra browser --constraints requirements-dev.txt
# Home Assistant pins what it needs, old versions too, so it has an environment of its own.
compile tests/e2e/requirements-home-assistant.txt tests/e2e/home-assistant.in
