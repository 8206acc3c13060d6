# Everything a clone can do. Needs make and Python >= 3.11 (another one: make PYTHON=python3.12 ...).
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EMULATOR := .local/emulator
PIP := -m pip --quiet --disable-pip-version-check
# The locks are complete, so pip has nothing to resolve. Bytecode is made when it is first used.
LOCKED := install --no-deps --no-compile --require-hashes --requirement
# uv's own name of an index, a folder or a machine must never get into a lock.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK_FLAGS)

# sam reports its use and waits for an answer; neither is wanted.
export SAM_CLI_TELEMETRY := 0

.PHONY: help setup check lint types test mutants build local local-stop demo lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.project $(EMULATOR)/.ready ## Make the tools and the emulator's environment ready

check: lint types ## Style, import directions, template, types

lint: setup ## Style, import directions, template
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/sam validate --lint --region us-east-1

types: setup ## mypy --strict over code and tests
	$(BIN)/mypy

# The tests of the deployed stack mostly wait: the others run meanwhile, in two processes. A process that
# has run out of tests takes over some of the other's.
test: setup ## Every test, those of the deployed stack included
	@$(BIN)/pytest tests/e2e > .local/e2e.log 2>&1 & deployed=$$!; trap "kill $$deployed" INT TERM; \
	$(BIN)/pytest --ignore tests/e2e --numprocesses 2 --dist worksteal; others=$$?; \
	echo "The tests of the deployed stack:"; wait $$deployed; status=$$?; cat .local/e2e.log; \
	exit $$((others ? others : status))

mutants: setup ## Break the protocol rule by rule, and see which test notices
	@$(BIN)/python -m tests.mutants

build: setup ## Build the layer and the functions
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build

local: setup ## Start the embedded AWS and deploy (SOURCE= DESTINATIONS= CONFIG= PORT=)
	@$(BIN)/python -m local.up $(if $(SOURCE),--source '$(SOURCE)') \
		$(if $(DESTINATIONS),--destinations '$(DESTINATIONS)') \
		$(if $(CONFIG),--config '$(CONFIG)') $(if $(PORT),--port '$(PORT)')

local-stop: ## Stop the embedded AWS; what was in it is gone
	@$(PYTHON) -m local.down

demo: setup ## Watch objects being replicated through the deployed stack
	@$(BIN)/python -m local.demo

lock: setup ## Renew the locks (LOCK_FLAGS=--upgrade for newer versions)
	$(COMPILE) layers/core/requirements.in --output-file layers/core/requirements.txt
	$(COMPILE) local/requirements.in --output-file local/requirements.txt
	$(COMPILE) requirements-dev.in --constraint layers/core/requirements.txt \
		--output-file requirements-dev.txt

clean: local-stop ## Remove everything that was made here
	rm -rf .aws-sam .local $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment for the tools, one for the emulator: what the layer lacks must be missing in the
# functions, too, which see the emulator's packages.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "Setting up $(1) (once; about $(3)) ..."
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python $(PIP) $(LOCKED) $(2)
	@touch $@
endef

$(VENV)/.tools: requirements-dev.txt
	$(call environment,$(VENV),requirements-dev.txt,a minute)

$(VENV)/.project: $(VENV)/.tools pyproject.toml
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(EMULATOR)/.ready: local/requirements.txt
	$(call environment,$(EMULATOR),local/requirements.txt,20 seconds)
