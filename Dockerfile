# Four images: `weighbridge` (every command: the function, the outbox, the poller), `weighbridge-browser` (the same with
# Chromium), `weighbridge-form` (the page), and `weighbridge-app` (the app of Home Assistant).
# Rule: no build tool is in an image that runs, no secret is in a layer, nothing runs as root, and the root file system
# may be read-only (Streamlit needs a writable /tmp).

# Docker goes by the digest, so every build has the same base. `make base-images` renews it from the tag.
ARG PYTHON=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

# The time of each file that is added, and of the bytecode: none of when it was built. scripts/images.py gives the commit's.
ARG SOURCE_DATE_EPOCH=1577836800

FROM ${PYTHON} AS packages
# For `strip`, a part of it.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /pip \
 && python3 -m venv --without-pip /weighbridge
COPY requirements.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --no-compile --require-hashes -r /requirements.txt
ARG SOURCE_DATE_EPOCH
ENV SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH


FROM packages AS wheel
COPY . /source
WORKDIR /source
RUN /weighbridge/bin/python3 -m hatchling build --target wheel --directory /wheel


FROM packages AS product
COPY integrations/containers/finish.sh integrations/containers/unused.txt /
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-compile --no-deps /wheel/*.whl \
 && /finish.sh /unused.txt


# Separate, so that the other images do not have to install Streamlit. What the page never imports is removed: maps and
# large charts, the languages that the page does not have, and the parts of pyarrow for networks and clouds.
FROM packages AS form-packages
COPY requirements-form.txt integrations/containers/finish.sh integrations/containers/unused-form.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --no-compile --require-hashes -r /requirements-form.txt
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-compile --no-deps /wheel/*.whl \
 && find /weighbridge/lib -path '*/babel/locale-data/*' \
        ! -name 'root.dat' ! -name 'en*.dat' ! -name 'de*.dat' ! -name 'pt*.dat' -delete \
 && find /weighbridge/lib \( -path '*/pyarrow/include/*' -o -path '*/pyarrow/*_flight.*' -o -path '*/pyarrow/libarrow_s3.*' \
        -o -path '*/pyarrow/_*fs.*' -o -path '*/pyarrow/libarrow_python*.so.*.*' -o -path '*/pyarrow/libarrow_python*.so' \
        -o -name '_avif.*' -o -name 'libavif-*' -o -path '*/streamlit/static/*/PlotlyChart.*' \
        -o -path '*/streamlit/static/*/DeckGlJsonChart.*' -o -path '*/streamlit/static/*/EChartsChart.*' \) -type f -delete \
 && /finish.sh /unused-form.txt


FROM ${PYTHON} AS base
LABEL org.opencontainers.image.version="1.0.0rc1" \
      org.opencontainers.image.source="https://github.com/weighbridge/weighbridge" \
      org.opencontainers.image.documentation="https://github.com/weighbridge/weighbridge/blob/main/docs/docker.md" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/weighbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp


FROM base AS weighbridge-form
LABEL org.opencontainers.image.title="weighbridge-form" \
      org.opencontainers.image.description="The page of Weighbridge"
COPY --from=form-packages /weighbridge /weighbridge
WORKDIR /tmp
USER 10001:10001
EXPOSE 8501
# Each check waits before it asks, once the first has succeeded: quick at the start, then once a minute, without a
# `start-interval`, which Docker has only since version 25. bash opens the connection, for a fortieth of Python's time.
HEALTHCHECK --interval=2s --timeout=70s --start-period=30s \
    CMD ["bash", "-c", "[ ! -e /tmp/healthy ] || sleep 58; exec 3<>/dev/tcp/127.0.0.1/8501 && printf 'GET /_stcore/health HTTP/1.0\\r\\n\\r\\n' >&3 && read -r -t 4 -n 5 <&3 && : > /tmp/healthy"]
CMD ["weighbridge", "form", "--server.address=0.0.0.0"]


FROM base AS runtime
# hadolint ignore=DL3064  # the path of the tokens is not a secret
ENV PORT=8080 WEIGHBRIDGE_FOLDER=/data/weigh-ins WEIGHBRIDGE_TOKENS=/data/tokens \
    WEIGHBRIDGE_LOCAL_KEY=/data/key
# A volume that is mounted here for the first time takes this owner. Where a host chooses the user (OpenShift), it is in
# group 0.
RUN install -d -m 0770 -o 10001 -g 0 /data
WORKDIR /data
USER 10001:10001
EXPOSE 8080
# No HEALTHCHECK, because only one of its programs listens on a port. compose.yaml has the one for the function.
CMD ["weighbridge", "serve", "--host", "0.0.0.0"]


FROM runtime AS weighbridge
LABEL org.opencontainers.image.title="weighbridge" \
      org.opencontainers.image.description="Takes weigh-ins from any smart scale to Garmin Connect"
COPY --from=product /weighbridge /weighbridge


# The same with a browser, for the delivery `browser`. Separate, because it is several times as large.
FROM packages AS browser-packages
COPY requirements-browser.txt integrations/containers/finish.sh integrations/containers/unused.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --no-compile --require-hashes -r /requirements-browser.txt
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-compile --no-deps /wheel/*.whl \
 && /finish.sh /unused.txt


FROM runtime AS weighbridge-browser
LABEL org.opencontainers.image.title="weighbridge-browser" \
      org.opencontainers.image.description="Weighbridge with Chromium, for where every token is blocked"
# hadolint ignore=DL3002  # only for the installation
USER 0:0
# Without what only a graphics card or a screen needs: Chromium runs with --disable-gpu, and draws by itself. Nor does
# anybody read a dialog of GTK, in any language.
# hadolint ignore=DL3008  # a browser should be the newest
RUN printf 'path-exclude=%s\n' '/usr/lib/*/libLLVM*' '/usr/lib/*/libgallium*' '/usr/lib/*/libz3*' '/usr/lib/*/dri/*' \
        '/usr/lib/chromium/libVkLayer_*' '/usr/share/icons/Adwaita/cursors/*' '/usr/share/doc/*' '/usr/share/man/*' \
        '/usr/share/locale/*' '/usr/share/gtk-3.0/emoji/*' \
        > /etc/dpkg/dpkg.cfg.d/no-graphics \
 && printf 'path-include=%s\n' '/usr/share/doc/*/copyright' >> /etc/dpkg/dpkg.cfg.d/no-graphics \
 && apt-get update \
 && apt-get install --yes --no-install-recommends chromium \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/log/*.log /var/log/apt
COPY --from=browser-packages /weighbridge /weighbridge
# Its sandbox needs permissions that a container does not have. The container is the sandbox.
ENV WEIGHBRIDGE_BROWSER_PROFILE=/data/browser WEIGHBRIDGE_BROWSER_ARGS="--no-sandbox --disable-dev-shm-usage"
USER 10001:10001


# The app of Home Assistant: the function, the page and the poller (integrations/home_assistant_app). It is the last
# target, because Home Assistant builds the last one.
FROM form-packages AS app-packages
COPY --from=product /weighbridge /weighbridge


FROM runtime AS weighbridge-app
LABEL org.opencontainers.image.title="weighbridge-app" \
      org.opencontainers.image.description="The app of Home Assistant" \
      io.hass.type="app" io.hass.arch="aarch64|amd64" io.hass.version="1.0.0rc1"
# Where Home Assistant's ingress and Home Assistant itself come from, on a network that nobody else can read.
# hadolint ignore=DL3064  # none of this is a secret
ENV WEIGHBRIDGE_FORM_INGRESS=172.30.32.2 WEIGHBRIDGE_PRIVATE_CALLERS=172.30.32.1 STREAMLIT_SERVER_PORT=8099
COPY --from=app-packages /weighbridge /weighbridge
EXPOSE 8099
# Root only takes over /data, which the Supervisor mounts from a folder of root.
# hadolint ignore=DL3002  # see above
USER 0:0
CMD ["weighbridge", "app", "--user", "10001"]
