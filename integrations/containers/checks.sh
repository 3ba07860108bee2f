# For up.sh and down.sh: look first at what usually fails, and say it once.
set -u
cd "$(dirname "$0")/../.." || exit 1

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

command -v docker >/dev/null || fail "Docker is not installed. See https://docs.docker.com/engine/install/"
version=$(docker compose version --short 2>/dev/null) ||
    fail "Docker Compose is not installed. See https://docs.docker.com/compose/install/"
case ${version#v} in
0.* | 1.* | 2.? | 2.?.* | 2.1? | 2.1?.*)
    fail "Expected Docker Compose 2.20 or newer, got $version. See https://docs.docker.com/compose/install/"
    ;;
esac
said=$(docker version --format '{{.Server.Version}}' 2>&1) ||
    fail "The Docker engine does not answer. Is it running, and may this user use it?" "$said"
[ -f .env ] || fail "The file .env is missing. Copy .env.example to .env, and fill it in."
docker compose config --quiet || exit 1
