# Four images: `function`, `function-browser` (the same with a Chromium in it), `outbox` (relay and worker of
# integrations/postgres), and `form`.
# Rule: nothing that builds is in what runs; no secret is in a layer; nobody is root; the root file system may be
# read-only (gunicorn wants a writable /tmp).

FROM python:3.13-slim-trixie AS packages
COPY requirements-google.txt requirements-garminconnect.txt requirements-outbox.txt /
RUN python3 -m venv /function \
 && /function/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-google.txt \
    -r /requirements-garminconnect.txt \
 && /function/bin/pip uninstall --yes --quiet pip \
 && python3 -m venv /outbox \
 && /outbox/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-outbox.txt \
 && /outbox/bin/pip uninstall --yes --quiet pip


# Apart, so that nobody waits for Streamlit who does not want the page.
FROM python:3.13-slim-trixie AS form-packages
COPY requirements-form.txt /
RUN python3 -m venv /form \
 && /form/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /requirements-form.txt \
 && /form/bin/pip uninstall --yes --quiet pip


FROM python:3.13-slim-trixie AS form
ENV PATH=/form/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
COPY --from=form-packages /form /form
COPY integrations/__init__.py /app/integrations/
COPY integrations/web_form/*.py /app/integrations/web_form/
COPY integrations/history/*.py /app/integrations/history/
WORKDIR /app
USER 10001:10001
EXPOSE 8501
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "from urllib.request import urlopen as u; u('http://127.0.0.1:8501/_stcore/health', timeout=4)"]
ENTRYPOINT ["python3", "-m", "integrations.web_form"]
CMD ["--server.address=0.0.0.0"]


FROM python:3.13-slim-trixie AS outbox
ENV PATH=/outbox/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=packages /outbox /outbox
COPY integrations/__init__.py /app/integrations/
COPY integrations/postgres /app/integrations/postgres
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["python3", "-m", "integrations.postgres"]
CMD ["worker"]


FROM python:3.13-slim-trixie AS function
# A thread mostly waits, for its sender or for Garmin: enough of them that slow senders hold up nobody.
# hadolint ignore=DL3064  # where tokens lie is no secret
ENV PATH=/function/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp PORT=8080 THREADS=256 WEIGHBRIDGE_FOLDER=/data/weigh-ins WEIGHBRIDGE_TOKENS=/data/tokens
COPY --from=packages /function /function
COPY templates/*.fit /app/templates/
COPY scripts/__init__.py scripts/login.py scripts/doctor.py scripts/refresh.py scripts/deliver_kept.py scripts/confirm.py /app/scripts/
COPY function /app/function
# A volume that is mounted here for the first time gets this owner.
RUN install -d -o 10001 -g 10001 /data
WORKDIR /app
USER 10001:10001
EXPOSE 8080
# Alive is whatever answers; whether a reading could be delivered, /health says in words.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
    CMD ["python3", "-c", "from http.client import HTTPConnection as C; from os import environ as e; c = C('127.0.0.1', int(e['PORT']), timeout=4); c.request('GET', '/health'); c.getresponse()"]
CMD ["functions-framework", "--source", "function/main.py", "--target", "handle", "--host", "0.0.0.0"]


# The same with a browser in it, for the delivery `browser`: apart, because it is several times as large.
FROM packages AS browser-packages
COPY requirements-browser.txt /
RUN python3 -m venv /pip \
 && /pip/bin/pip --python /function/bin/python3 install --no-cache-dir --disable-pip-version-check --require-hashes \
    -r /requirements-browser.txt


FROM function AS function-browser
# hadolint ignore=DL3002  # for the installation alone
USER 0:0
# hadolint ignore=DL3008  # a browser is to be the newest
RUN apt-get update \
 && apt-get install --yes --no-install-recommends chromium \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt
COPY --from=browser-packages /function /function
COPY scripts/login_browser.py /app/scripts/
# Its sandbox wants rights that a container does not give; the container is the sandbox.
ENV WEIGHBRIDGE_BROWSER_PROFILE=/data/browser WEIGHBRIDGE_BROWSER_ARGS="--no-sandbox --disable-dev-shm-usage"
USER 10001:10001
