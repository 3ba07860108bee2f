# Three images: `weighbridge` (the function, the outbox, the poller: whatever the command line does),
# `weighbridge-browser` (the same with a Chromium in it), and `weighbridge-form` (the page).
# Rule: nothing that builds is in what runs; no secret is in a layer; nobody is root; the root file system may be
# read-only (gunicorn and Streamlit need a writable /tmp).

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


# Apart, so that nobody waits for Streamlit who does not want the page.
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
# A thread mostly waits, for its sender or for Garmin: enough of them that slow senders hold up nobody.
# hadolint ignore=DL3064  # where tokens lie is no secret
ENV PATH=/weighbridge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp PORT=8080 THREADS=256 WEIGHBRIDGE_FOLDER=/data/weigh-ins WEIGHBRIDGE_TOKENS=/data/tokens
COPY --from=product /weighbridge /weighbridge
# A volume that is mounted here for the first time gets this owner.
RUN install -d -o 10001 -g 10001 /data
WORKDIR /data
USER 10001:10001
EXPOSE 8080
# It has no HEALTHCHECK, because only one of its programs answers at a port: compose.yaml has the function's.
CMD ["weighbridge", "serve", "--host", "0.0.0.0"]


# The same with a browser in it, for the delivery `browser`: apart, because it is several times as large.
FROM packages AS browser-packages
COPY requirements-browser.txt /
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-cache-dir --require-hashes -r /requirements-browser.txt
COPY --from=wheel /wheel /wheel
RUN /pip/bin/pip --python /weighbridge/bin/python3 install --no-deps /wheel/*.whl \
 && /pip/bin/pip --python /weighbridge/bin/python3 uninstall --yes editables hatchling


FROM weighbridge AS weighbridge-browser
# hadolint ignore=DL3002  # for the installation alone
USER 0:0
# hadolint ignore=DL3008  # a browser is to be the newest
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=browser-packages /weighbridge /weighbridge
# Its sandbox wants rights that a container does not give; the container is the sandbox.
ENV WEIGHBRIDGE_BROWSER_PROFILE=/data/browser WEIGHBRIDGE_BROWSER_ARGS="--no-sandbox --disable-dev-shm-usage"
USER 10001:10001
