# Capstan. `make` alone explains itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
DATA ?= capstan-data

.DEFAULT_GOAL := help
.PHONY: help serve demo test test-long check bench lock clean

help: ## Show what can be made
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.serve: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock requirements-webbuild.lock requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-webbuild.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.serve

serve: $(VENV)/.serve ## Start the server (DATA=folder, PORT=port)
	$(BIN)/capstan serve --data-dir $(DATA) --port $(PORT)

demo: $(VENV)/.serve ## A server, a small app and a fleet of simulated devices, live
	$(BIN)/capstan demo

test: $(VENV)/.dev ## Run the test suite (under 5 minutes)
	$(BIN)/python -m pytest -n auto

test-long: $(VENV)/.dev ## Run the long tests: a thousand kills
	$(BIN)/python -m pytest -n auto -m long

check: $(VENV)/.dev ## Lint, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Measure the budgets: ratios within one run
	$(BIN)/python -m bench

lock: $(VENV)/.dev ## Renew the hashed requirement locks from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml requirements-build.in -o requirements.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml requirements-build.in --group dev -o requirements-dev.lock

clean: ## Remove the virtual environment and caches (never data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
