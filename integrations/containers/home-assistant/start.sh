#!/bin/sh
# Home Assistant with the package in it. Rule: what is yours is written once and stays; what is Weighbridge's (the
# package, its blueprint, and its secrets, which come from .env) is written at each start, so that a new version counts.
set -eu
cd /config
if [ ! -e configuration.yaml ]; then
    cp /weighbridge/configuration.yaml configuration.yaml
    touch automations.yaml scripts.yaml scenes.yaml
fi
mkdir -p packages blueprints/automation
cp /package/weighbridge.yaml packages/weighbridge.yaml
cp -R /package/blueprints/automation/weighbridge blueprints/automation/
# Of two files of secrets, Home Assistant takes the one beside the package first.
umask 077
cat > packages/secrets.yaml <<END
weighbridge_readings_url: "http://function:8080/readings"
weighbridge_health_url: "http://function:8080/health"
weighbridge_key: "$WEIGHBRIDGE_KEY"
weighbridge_topic: "$HOME_ASSISTANT_TOPIC"
weighbridge_entity: "$HOME_ASSISTANT_ENTITY"
END
exec "$@"
