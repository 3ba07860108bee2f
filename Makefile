# For newcomers and maintainers. For daily use there is the command `weighbridge` (.venv/bin/weighbridge --help).
# Each target works on a fresh machine: it first builds .venv from the pinned requirements.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
RUN := .venv/installed-run
DEV := .venv/installed-dev
NAMED = $(if $(NAME),--name "$(NAME)")
DOCUMENTS = README.md templates/README.md integrations/*/README.md sdk_fallback/*/README.md docs/*.md docs/*/*.md
COG = $(BIN)/cog -p 'from scripts import docs'
SUPPLY := .venv-supply/installed
# Home Assistant needs a newer Python than many machines have: it runs in a Debian root of its own. The tests of the
# integration use the Home Assistant that their tool pins: 0.13.375 has 2026.10.4, and 0.13.316 has 2026.2.3, the floor.
# It takes minutes to install, so all checkouts share it.
CACHE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weighbridge
HOME_ASSISTANT_ROOT = $(CACHE)/home-assistant/forky
HOME_ASSISTANT = forky 0.13.375 2026.11.0
HOME_ASSISTANT_FLOOR_ROOT = $(CACHE)/home-assistant/trixie
HOME_ASSISTANT_FLOOR = trixie 0.13.316
IN_CONTAINERS = tests/e2e/test_containers.py tests/e2e/test_existing_stacks.py tests/e2e/test_base_images.py

.DEFAULT_GOAL := help
.PHONY: help demo run login doctor up down images test test-e2e test-containers test-form test-home-assistant test-home-assistant-floor test-garminconnect check fix docs bench verify-sdk lock base-images home-assistant-app sbom audit release-check clean

##@ To use Weighbridge

help: ## show this list
	@awk -F ':.*## ' '/^##@ / {printf "%s%s:\n", blank, substr($$0, 5); blank = "\n"} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-26s  %s\n", $$1, $$2}' Makefile

demo: $(RUN) ## start the function, post a reading, show the receipt and decode the file
	@$(BIN)/weighbridge demo $(ARGS)

run: $(RUN) ## serve the function on 127.0.0.1:8080 (PORT=…), settings from the environment or .env
	@exec $(BIN)/weighbridge serve $(if $(PORT),--port "$(PORT)") $(ARGS)

login: $(RUN) ## sign in to Garmin Connect once and store the token (NAME=anna)
	@$(BIN)/weighbridge login $(NAMED) $(ARGS)

doctor: $(RUN) ## test each link to Garmin Connect with your own account (NAME=anna)
	@$(BIN)/weighbridge doctor $(NAMED) $(ARGS)

up: ## start everything in containers: function, outbox, broker, Postgres (settings in .env)
	@integrations/containers/up.sh

down: ## stop these containers and keep their data
	@integrations/containers/down.sh

images: ## build the images of the function and the page, for the small Compose files (REGISTRY=…)
	@integrations/containers/images.sh $(REGISTRY)

##@ To maintain Weighbridge

# Three workers for two cores, because some tests wait.
test: $(DEV) ## run the tests
	@$(BIN)/python -m pytest -n 3 $(ARGS)

# More workers than cores: most of these tests wait for other programs.
test-e2e: $(DEV) $(SUPPLY) ## run the tests with real programs around the function: Postgres, Mosquitto, Node-RED …
	@$(BIN)/python -m pytest -n 3 --dist loadfile tests/e2e --ignore-glob="*/test_form*.py" $(IN_CONTAINERS:%=--ignore=%) $(ARGS)

test-containers: $(DEV) $(SUPPLY) ## run the tests of the images and of Compose, with a real engine (as root on Debian)
	@$(BIN)/python -m pytest $(IN_CONTAINERS) $(ARGS)

# Two at a time: a page mostly waits for its browser.
test-form: $(DEV) ## run the tests of the page, in Chromium
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/e2e/test_form*.py $(ARGS)

# Three files at a time, because their programs mostly wait, in their order: the longest do not come last. What -k
# selects covers little.
test-home-assistant: $(DEV) ## test the integration, and all of it in a current Home Assistant (as root on Debian)
	@tests/e2e/install_home_assistant.sh "$(HOME_ASSISTANT_ROOT)" $(HOME_ASSISTANT)
	@tests/e2e/in_root.sh "$(HOME_ASSISTANT_ROOT)" /phacc/bin/python -m mypy --config-file tests/home_assistant/mypy.ini
	@tests/e2e/in_root.sh "$(HOME_ASSISTANT_ROOT)" tests/home_assistant/run.sh $(if $(findstring -k,$(ARGS)),,--coverage) $(ARGS)
	@HOME_ASSISTANT_ROOT="$(HOME_ASSISTANT_ROOT)" $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/e2e/home_assistant $(ARGS)

test-home-assistant-floor: ## test the integration in the oldest Home Assistant that it supports (as root on Debian)
	@tests/e2e/install_home_assistant.sh "$(HOME_ASSISTANT_FLOOR_ROOT)" $(HOME_ASSISTANT_FLOOR)
	@tests/e2e/in_root.sh "$(HOME_ASSISTANT_FLOOR_ROOT)" tests/home_assistant/run.sh $(ARGS)

test-garminconnect: ## test the library garminconnect with Python 3.13 (after test-home-assistant-floor)
	@tests/e2e/test_garminconnect_current.sh "$(HOME_ASSISTANT_FLOOR_ROOT)" -q $(ARGS)

verify-sdk: $(DEV) ## cross-check our encoding with Garmin's own FitCSVTool
	@$(BIN)/weighbridge sdk verify $(ARGS)

check: $(DEV) ## check lint, format, types, licenses, architecture, voice and the tables in the documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m scripts.licenses
	@$(COG) --check --diff $(DOCUMENTS)
	@$(BIN)/python -m pytest tests/test_architecture.py tests/test_voice.py

fix: $(DEV) ## fix what tools can fix: lint, format, and the tables in the documents
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(COG) -r $(DOCUMENTS)

docs: $(DEV) ## build the documentation into site/; a dead link stops it
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict $(ARGS)
	@echo "Built: site/. To read it: $(BIN)/python -m http.server --directory site"

bench: $(DEV) ## measure performance, as ratios within one run
	@$(BIN)/python -m scripts.bench $(ARGS)

lock: .venv/created ## compile the requirements again from pyproject.toml
	@$(PIP) uv
	@scripts/lock.sh $(BIN)/uv

base-images: $(RUN) ## renew the digests of the base images in Dockerfile and compose.yaml; needs the internet
	@$(BIN)/python -m scripts.base_images

home-assistant-app: ## write the app of Home Assistant, as a folder that it builds by itself, into dist/
	@$(PYTHON) -m scripts.home_assistant_app

sbom: $(RUN) $(SUPPLY) ## write the bills of materials (CycloneDX) of the wheel and of each image into dist/
	@$(BIN)/python -m scripts.sbom

audit: $(DEV) $(SUPPLY) ## look up known vulnerabilities of every locked package; needs the internet
	@$(BIN)/python -m scripts.audit

release-check: $(DEV) $(SUPPLY) ## do all that a release does, except publish it (TAG=v…, ARGS=--no-images)
	@$(BIN)/python -m scripts.release_check $(if $(TAG),--tag "$(TAG)") $(ARGS)

clean: ## remove everything that was built
	rm -rf --one-file-system .venv .venv-supply .mypy_cache .ruff_cache .pytest_cache .hypothesis dist site sdk_fallback/js/node_modules tests/e2e/*/node_modules

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Expected Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "Python cannot create a virtual environment. Install its venv module (Debian: apt install python3-venv)." >&2; exit 1; }
	@touch $@

# The project itself comes last. Its build tools are pinned, too, so nothing more is downloaded.
$(RUN): requirements.txt pyproject.toml | .venv/created
	@echo "Installing Weighbridge into .venv …"
	@$(PIP) --require-hashes -r $<
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(DEV): requirements-dev.txt requirements-form.txt requirements-browser.txt | $(RUN)
	@echo "Installing the test tools into .venv …"
	@$(PIP) --require-hashes -r $<
	@touch $@

$(SUPPLY): scripts/requirements-supply.txt | .venv/created
	@echo "Installing the tools of make sbom and make audit into .venv-supply …"
	@$(PYTHON) -m venv .venv-supply
	@.venv-supply/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
