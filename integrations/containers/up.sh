#!/bin/sh
# Start everything in containers. `make up` runs this.
# Strategy: if Compose fails, show the logs of the services that failed, and no other, so that the reason is at the end.
. "$(dirname "$0")/checks.sh"

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
