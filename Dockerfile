# Three images: `weighbridge` (every command: the function, the outbox, the poller), `weighbridge-browser` (the same
# with Chromium), and `weighbridge-form` (the page).
# Rule: no build tool is in an image that runs, no secret is in a layer, nothing runs as root, and the root file system
# may be read-only (Streamlit needs a writable /tmp).

FROM python:3.13-slim-trixie AS packages
RUN python3 -m venv /pip \
 && python3 -m venv --without-pip /weighbridge
COPY requirements.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --require-hashes -r /requirements.txt


FROM packages AS wheel
COPY . /source
WORKDIR /source
RUN /weighbridge/bin/python3 -m hatchling build --target wheel --directory /wheel


FROM packages AS product
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-deps /wheel/*.whl \
 && /pip/bin/pip --python /weighbridge/bin/python3 uninstall --yes editables hatchling


# Separate, so that the other images do not have to install Streamlit.
FROM packages AS form-packages
COPY requirements-form.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --require-hashes -r /requirements-form.txt
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-deps /wheel/*.whl \
 && /pip/bin/pip --python /weighbridge/bin/python3 uninstall --yes editables hatchling


FROM python:3.13-slim-trixie AS weighbridge-form
ENV PATH=/weighbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=form-packages /weighbridge /weighbridge
WORKDIR /tmp
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "from urllib.request import urlopen as u; u('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
CMD ["weighbridge", "form", "--server.address=0.0.0.0"]


FROM python:3.13-slim-trixie AS weighbridge
# hadolint ignore=DL3064  # the path of the tokens is not a secret
ENV PATH=/weighbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp PORT=8080 WEIGHBRIDGE_FOLDER=/data/weigh-ins WEIGHBRIDGE_TOKENS=/data/tokens
COPY --from=product /weighbridge /weighbridge
# A volume that is mounted here for the first time takes this owner.
RUN install -d -m 0700 -o 10001 -g 10001 /data
WORKDIR /data
USER 10001:10001
EXPOSE 8080
# No HEALTHCHECK, because only one of its programs listens on a port. compose.yaml has the one for the function.
CMD ["weighbridge", "serve", "--host", "0.0.0.0"]


# The same with a browser, for the delivery `browser`. Separate, because it is several times as large.
FROM packages AS browser-packages
COPY requirements-browser.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --require-hashes -r /requirements-browser.txt
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-deps /wheel/*.whl \
 && /pip/bin/pip --python /weighbridge/bin/python3 uninstall --yes editables hatchling


FROM weighbridge AS weighbridge-browser
# hadolint ignore=DL3002  # only for the installation
USER 0:0
# hadolint ignore=DL3008  # a browser should be the newest
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=browser-packages /weighbridge /weighbridge
# Its sandbox needs permissions that a container does not have. The container is the sandbox.
ENV WEIGHBRIDGE_BROWSER_PROFILE=/data/browser WEIGHBRIDGE_BROWSER_ARGS="--no-sandbox --disable-dev-shm-usage"
USER 10001:10001
