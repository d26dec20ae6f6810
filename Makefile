.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
WORKERS ?= auto

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 18

setup: ## make .venv and install what serving needs
	@scripts/setup console deep

setup-dev:
	@scripts/setup console dev

run: setup ## open the shop: import, train, serve API and console
	@exec $(BIN)/shopkeeper up $(ARGS)

lint: setup-dev ## ruff, import contract, strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Jobs and servers of tests are processes of their own: each would compile all that it imports anew, where the machine
# says that no bytecode is to be kept. What runs in those processes, pages of the console among it, is not counted as
# covered.
test: export PYTHONDONTWRITEBYTECODE =
test: lint ## lint, then all tests in parallel with coverage
	mkdir -p build
	scripts/in_memory $(BIN)/python -m slipcover -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=25
	$(BIN)/python -m slipcover --merge build/coverage.json --out build/coverage.json --fail-under 85

format: setup-dev ## rewrite the code in the house style
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

tour: setup-dev ## photograph every page of the console for docs/console.md
	$(BIN)/python -m scripts.console_tour $(ARGS)

bench-%: setup-dev ## run one benchmark, e.g. make bench-serving; writes benchmarks/results/*.json and RESULTS.md
	$(BIN)/python -m benchmarks.$(subst -,_,$*)
	$(BIN)/python -m benchmarks.results

.PHONY: help setup setup-dev run lint test format tour
