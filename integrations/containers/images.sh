#!/bin/sh
# Build the images that the small files take, under the names by which those ask for them. `make images` runs this.
#     images.sh [REGISTRY]      the value of WEIGHBRIDGE_REGISTRY, if it is another one
set -eu
cd "$(dirname "$0")/../.."

registry=${1:-ghcr.io/weighbridge}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' function/weighbridge/__init__.py)
command -v docker >/dev/null || {
    echo "Docker is not installed. See https://docs.docker.com/engine/install/" >&2
    exit 1
}
for image in weighbridge weighbridge-form; do
    docker build --target "$image" --tag "$registry/$image:$version" .
done
