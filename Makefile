# Every target works in a fresh clone: it makes .venv and installs what it needs, once.
# The two stamp files name what is installed; `demo` is content with less than `test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

DEMO_STAMP := $(VENV)/.installed-demo
DEV_STAMP := $(VENV)/.installed-dev

PYTEST_WORKERS ?= 2
FAULT_ROUNDS ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench faults postgres mariadb chromium build clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV_STAMP) ## install everything for development into .venv

demo: $(DEMO_STAMP) ## tune a scikit-learn pipeline: 60 trials, 2 workers, a live table
	$(BIN)/tunekit demo

# Tests run side by side: the threads of a numeric library would wait for each other's cores.
test docs faults: export OMP_NUM_THREADS = 1

test: $(DEV_STAMP) postgres mariadb chromium ## run all tests, with real database servers, a real browser and real kills
	$(BIN)/python -m pytest tests -n $(PYTEST_WORKERS) --dist loadgroup $(PYTEST_ARGS)

check: $(DEV_STAMP) ## lint, format, types and import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_STAMP) ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV_STAMP) ## build docs/ into docs/_build/html, run its code, README.md's and every example
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python -m pytest tests/docs tests/examples -n $(PYTEST_WORKERS) $(PYTEST_ARGS)

bench: $(DEV_STAMP) postgres ## print the benchmark tables (about half an hour; BENCH_ARGS=--quick: one minute)
	$(BIN)/python tests/benchmarks/run.py $(BENCH_ARGS)

faults: $(DEV_STAMP) postgres mariadb chromium ## kill drivers, workers and servers, 30 rounds of each
	TUNEKIT_FAULT_ROUNDS=$(FAULT_ROUNDS) $(BIN)/python -m pytest tests -m faults $(PYTEST_ARGS)

build: $(DEV_STAMP) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: ## remove .venv and all caches
	rm -rf $(VENV) dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No python3.11 found; set PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; set PYTHON=/path/to/python3.11."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[demo]'
	@touch $@

# The development install holds all of the demo's, so it renews both stamps.
$(DEV_STAMP): pyproject.toml constraints.txt locked.txt | $(BIN)/python
	$(PIP) install --no-deps --require-hashes -r locked.txt
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $(DEMO_STAMP) $@

postgres:
	@.ci/postgres

mariadb:
	@.ci/mariadb

chromium:
	@.ci/chromium
