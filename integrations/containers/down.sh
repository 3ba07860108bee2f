#!/bin/sh
# Stop everything in containers, and keep the data. `make down` runs this.
. "$(dirname "$0")/checks.sh"
exec docker compose --profile "*" down --remove-orphans
