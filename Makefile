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
HOME_ASSISTANT := .venv-ha/installed
HOME_ASSISTANT_CURRENT := 2026.2.3
HOME_ASSISTANT_ROOT := .ha-current/root

.DEFAULT_GOAL := help
.PHONY: help demo run login doctor up down test test-e2e test-ha-current test-garminconnect check fix docs bench verify-sdk lock base-images sbom audit clean

##@ To use Weighbridge

help: ## show this list
	@awk -F ':.*## ' '/^##@ / {printf "%s%s:\n", blank, substr($$0, 5); blank = "\n"} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-18s  %s\n", $$1, $$2}' Makefile

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
	@docker compose --profile "*" down --remove-orphans

##@ To maintain Weighbridge

# Three workers for two cores, because some tests wait.
test: $(DEV) ## run the tests
	@$(BIN)/python -m pytest -n 3 $(ARGS)

test-e2e: $(DEV) $(SUPPLY) $(HOME_ASSISTANT) ## run the tests with real programs around the function: Postgres, Home Assistant …
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

test-ha-current: $(DEV) ## run those of Home Assistant with a current one, in its own Debian root (as root on Debian)
	@tests/e2e/install_home_assistant_current.sh "$(CURDIR)/$(HOME_ASSISTANT_ROOT)" $(HOME_ASSISTANT_CURRENT)
	@HOME_ASSISTANT_ROOT="$(CURDIR)/$(HOME_ASSISTANT_ROOT)" $(BIN)/python -m pytest tests/e2e/test_home_assistant.py tests/e2e/test_house.py tests/e2e/test_containers_home_assistant.py $(ARGS)

test-garminconnect: ## test the library garminconnect with Python 3.13, in that Debian root
	@tests/e2e/test_garminconnect_current.sh "$(CURDIR)/$(HOME_ASSISTANT_ROOT)" "$(CURDIR)" -q $(ARGS)

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

sbom: $(RUN) $(SUPPLY) ## write the bills of materials (CycloneDX) of the wheel and of each image into dist/
	@$(BIN)/python -m scripts.sbom

audit: $(DEV) $(SUPPLY) ## look up known vulnerabilities of every locked package; needs the internet
	@$(BIN)/python -m scripts.audit

clean: ## remove everything that was built
	rm -rf --one-file-system .venv .venv-supply .venv-ha .ha-current .mypy_cache .ruff_cache .pytest_cache .hypothesis dist site sdk_fallback/js/node_modules tests/e2e/*/node_modules

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

# If it cannot be installed, its tests are skipped, or fail with CI set if this Python could have run it.
$(HOME_ASSISTANT): tests/e2e/requirements-home-assistant.txt | .venv/created
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; then \
	  echo "This Home Assistant needs Python 3.11 or 3.12. Name one: make PYTHON=/path/to/python3.11"; \
	elif echo "Installing Home Assistant into .venv-ha …" && $(PYTHON) -m venv .venv-ha \
	  && .venv-ha/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<; then \
	  touch $@; \
	else \
	  echo "Home Assistant could not be installed."; \
	fi
