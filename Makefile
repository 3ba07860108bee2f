# Every way in. Each target works on a fresh machine: it builds .venv from the pinned requirements first.

PYTHON ?= python3
PORT ?= 8080
BIN := .venv/bin
RUN := .venv/installed-run
DEV := .venv/installed-dev
E2E := .venv/installed-e2e
BENCH := .venv/installed-bench
BROWSER := .venv/installed-browser
FORM := .venv/installed-form
HISTORY := .venv/installed-history
NAMED = $(if $(NAME),--name "$(NAME)")
HOME_ASSISTANT := .venv-ha/installed
HOME_ASSISTANT_CURRENT := 2026.2.3
HOME_ASSISTANT_ROOT := .ha-current/root

.DEFAULT_GOAL := help
.PHONY: help demo run run-garmin login login-browser doctor deliver-kept confirm refresh template verify-sdk form import up down test test-e2e test-ha-current test-garminconnect screenshots check check-upstream fix bench lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(RUN) ## start the function, post a reading, show the receipt and decode the file
	@$(BIN)/python -m scripts.demo

run: $(RUN) ## serve the function on 127.0.0.1:8080 (PORT=…), settings from the environment
	@exec $(BIN)/functions-framework --source function/main.py --target handle --host 127.0.0.1 --port $(PORT)

form: $(FORM) ## serve a page to type, look at and correct weigh-ins (WEIGHBRIDGE_URL=…), see integrations/web_form
	@exec $(BIN)/python -m integrations.web_form $(ARGS)

import: $(HISTORY) ## look at a history of weigh-ins and send it: FILE=my-export.csv, see integrations/history
	@test -n "$(FILE)" || { echo "A file is needed: make import FILE=my-export.csv" >&2; exit 1; }
	@$(BIN)/python -m scripts.import_history "$(FILE)" $(ARGS)

login: $(RUN) ## sign in to Garmin Connect once and store the token (NAME=anna, WAY=browser)
	@$(BIN)/python -m scripts.login $(NAMED) $(if $(WAY),--way "$(WAY)") $(ARGS)

login-browser: $(BROWSER) ## sign in with a browser of its own once, for the delivery `browser` (needs a screen)
	@$(BIN)/python -m scripts.login_browser $(ARGS)

doctor: $(RUN) ## prove each link to Garmin Connect with your own account (NAME=anna)
	@$(BIN)/python -m scripts.doctor $(NAMED) $(ARGS)

deliver-kept: $(RUN) ## deliver the files that were kept, now that a sign-in works (NAME=anna)
	@$(BIN)/python -m scripts.deliver_kept $(NAMED) $(ARGS)

confirm: $(RUN) ## look whether the kept files have arrived in Garmin Connect; nothing is sent
	@$(BIN)/python -m scripts.confirm $(ARGS)

refresh: $(RUN) ## renew each stored token that is due (for a schedule: examples/crontab)
	@$(BIN)/python -m scripts.refresh $(ARGS)

template: $(RUN) ## rebuild templates/, or make one of your own scale's file: FROM=my.fit
	@$(BIN)/python -m scripts.build_templates $(if $(FROM),--from "$(FROM)")

run-garmin: $(DEV) ## serve a stand-in for Garmin Connect, to play the whole story without an account
	@exec $(BIN)/python -m tests.garmin $(ARGS)

up: ## start the whole house as containers: function, outbox, broker, Postgres (settings in .env)
	@command -v docker >/dev/null || { echo "Docker is needed: https://docs.docker.com/engine/install/" >&2; exit 1; }
	@test -f .env || { echo "Settings are needed: cp .env.example .env, and fill it in" >&2; exit 1; }
	@docker compose up --build --wait

down: ## stop those containers; what they hold stays
	@docker compose --profile "*" down

verify-sdk: $(DEV) ## cross-check our encoding with Garmin's own FitCSVTool
	@$(BIN)/python -m sdk_fallback verify $(ARGS)

test: $(DEV) ## run the tests
	@$(BIN)/python -m pytest -n 2 $(ARGS)

test-e2e: $(E2E) $(HOME_ASSISTANT) ## run the tests with whole programs around the function: Postgres, Home Assistant …
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

test-ha-current: $(E2E) ## the same with a current Home Assistant, in a Debian root of its own (as root on Debian)
	@tests/e2e/install_home_assistant_current.sh "$(CURDIR)/$(HOME_ASSISTANT_ROOT)" $(HOME_ASSISTANT_CURRENT)
	@HOME_ASSISTANT_ROOT="$(CURDIR)/$(HOME_ASSISTANT_ROOT)" $(BIN)/python -m pytest tests/e2e/test_home_assistant.py tests/e2e/test_house.py tests/e2e/test_containers_home_assistant.py $(ARGS)

test-garminconnect: ## run the tests of the library garminconnect, with the Python of test-ha-current's Debian root
	@tests/e2e/test_garminconnect_current.sh "$(CURDIR)/$(HOME_ASSISTANT_ROOT)" "$(CURDIR)" -q $(ARGS)

screenshots: $(E2E) ## take the form's pictures for its README anew (needs Debian's chromium)
	@$(BIN)/python -m tests.e2e.form_pictures

check: $(E2E) ## lint, format, types, architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_architecture.py

check-upstream: $(RUN) ## see whether the newest release of a library changed what we rely on (once a week, say)
	@$(BIN)/python -m scripts.check_upstream $(ARGS)

fix: $(DEV) ## mend what ruff can mend by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(BENCH) ## measure, as ratios in one run
	@$(BIN)/python -m scripts.bench $(ARGS)

lock: .venv/created ## compile requirements*.txt anew from pyproject.toml
	@$(BIN)/pip install --quiet uv
	@scripts/lock.sh $(BIN)/uv

clean: ## remove what was built
	rm -rf --one-file-system .venv .venv-ha .ha-current .mypy_cache .ruff_cache .pytest_cache .hypothesis sdk_fallback/js/node_modules tests/e2e/node_red_package/node_modules tests/e2e/axe_package/node_modules

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed: install it, or name it with make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(RUN): requirements.txt | .venv/created
	@echo "Installing the function into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(DEV): requirements-dev.txt | $(RUN)
	@echo "Installing the tools for tests into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(E2E): requirements-e2e.txt | $(DEV)
	@echo "Installing what the tests with whole programs need into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(BROWSER): requirements-browser.txt | $(RUN)
	@echo "Installing what drives a browser into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(HISTORY): requirements-history.txt | $(RUN)
	@echo "Installing what reads histories into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(FORM): requirements-form.txt | .venv/created
	@echo "Installing the form into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Where it cannot be installed, its tests say so: skipped, or failed with CI set if this Python could have run it.
$(HOME_ASSISTANT): tests/e2e/requirements-home-assistant.txt | .venv/created
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; then \
	  echo "This Home Assistant runs on Python 3.11 and 3.12 alone: name one with make PYTHON=/path/to/python3.11"; \
	elif echo "Installing Home Assistant into .venv-ha …" && $(PYTHON) -m venv .venv-ha \
	  && .venv-ha/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<; then \
	  touch $@; \
	else \
	  echo "Home Assistant could not be installed"; \
	fi

$(BENCH): requirements-bench.txt | $(E2E)
	@echo "Installing what the benchmark compares with into .venv …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
