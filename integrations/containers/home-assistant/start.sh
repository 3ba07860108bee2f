#!/bin/sh
# Home Assistant with the integration.
# Rule: your files are written once and never changed. Weighbridge's files (the integration and its blueprints) are
# written at each start, so that a new version takes effect.
set -eu
cd /config
if [ ! -e configuration.yaml ]; then
    cp /weighbridge/configuration.yaml configuration.yaml
    touch automations.yaml scripts.yaml scenes.yaml
fi
mkdir -p custom_components blueprints/automation
rm -rf custom_components/weighbridge
cp -R /integration custom_components/weighbridge
cp -R /blueprints/automation/weighbridge blueprints/automation/
exec "$@"
