#!/bin/sh
# The lock files that users install from -> dist/weighbridge-VERSION.cdx.json, a bill of materials (CycloneDX 1.6),
# checked against its schema by the tool that writes it.
#
# It names every package that any part of the wheel can bring, for each system and Python, with its version and the
# hashes of its files. It does not say which package needs which, or their licences (docs/reference/licences.md does):
# neither is in a lock file. hatchling and editables in it only build the wheel.
set -eu
python=$1 tool=$2
version=$("$python" -c 'import weighbridge; print(weighbridge.__version__)')
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
# The tool reads the version only from here.
sed "s/^dynamic = \[\"version\"\]/version = \"$version\"/" pyproject.toml >"$folder/pyproject.toml"
mkdir -p dist
target=dist/weighbridge-$version.cdx.json
# The tool warns that there is no graph, each time.
grep -hv '^-r' requirements.txt requirements-form.txt requirements-browser.txt |
    PYTHONWARNINGS="ignore:The Component this BOM" "$tool" requirements --pyproject "$folder/pyproject.toml" \
        --mc-type application --spec-version 1.6 --output-reproducible --validate --output-file "$target" -
echo "Written and valid: $target"
