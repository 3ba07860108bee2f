#!/bin/sh
# Start everything in containers. `make up` runs this.
# Strategy: look first at what usually fails, and say it once. If Compose fails, show the logs of the services that
# failed, and no other, so that the reason is at the end.
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

docker compose up --build --wait && exit

# In one line: the service, its state, its exit code, how often it was started again, and its health, if it has one.
what='{{index .Config.Labels "com.docker.compose.service"}} {{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}'
docker compose ps --all --quiet | xargs docker inspect --format "$what {{with .State.Health}}{{.Status}}{{end}}" |
    while read -r service state code starts health; do
        case "$state $code $starts $health" in
        "running 0 0 " | "running 0 0 healthy" | "exited 0 "* | "created "*) ;;
        *) docker compose logs --tail 3 --no-color "$service" </dev/null >&2 ;;
        esac
    done
exit 1
