#!/bin/sh
# Home Assistant with the package.
# Rule: your files are written once and never changed. Weighbridge's files (the package, its blueprint, and its secrets
# from .env) are written at each start, so that a new version takes effect.
set -eu
cd /config
if [ ! -e configuration.yaml ]; then
    cp /weighbridge/configuration.yaml configuration.yaml
    touch automations.yaml scripts.yaml scenes.yaml
fi
mkdir -p packages blueprints/automation
cp /package/weighbridge.yaml packages/weighbridge.yaml
cp -R /package/blueprints/automation/weighbridge blueprints/automation/
# Of two secrets files, Home Assistant prefers the one next to the package.
umask 077
cat > packages/secrets.yaml <<END
weighbridge_readings_url: "http://function:8080/readings"
weighbridge_health_url: "http://function:8080/health"
weighbridge_key: "$WEIGHBRIDGE_KEY"
weighbridge_topic: "$HOME_ASSISTANT_TOPIC"
weighbridge_entity: "$HOME_ASSISTANT_ENTITY"
END
exec "$@"
