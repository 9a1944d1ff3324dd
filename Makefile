# Millrace: the two commands are `make demo` and `make test`. Bare `make` says what else there is.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
.DEFAULT_GOAL := help
.PHONY: help set-up demo test chaos parity check format bench-ingest bench-gate nightly up down clean

help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

set-up: ## bring everything that is needed, once; at once done when nothing has changed
	@command -v $(PYTHON) >/dev/null || { echo "set-up: Python 3.11 is needed, and there is none. next: sudo apt-get install python3.11 python3.11-venv (Debian 12), brew install python@3.11 (macOS); elsewhere: pipx run uv python install 3.11, then make set-up PYTHON=~/.local/bin/python3.11" >&2; exit 64; }
	@$(PYTHON) tools/set_up.py

demo: set-up ## real raw files become tables, a fine-tuned model, predictions and a page
	@$(BIN)/lake demo

# Two processes, each with a server and a Spark of its own, for the whole suite; a choice of tests runs in one.
test: set-up ## the whole suite, with servers of its own: make test T="tests/lake -k store"
	@$(BIN)/python -m pytest $(if $(filter-out -%,$(T)),,-n 2 --dist loadgroup --no-loadscope-reorder) $(T)

chaos: set-up ## break a lake in every way we know and count what is lost: make chaos ARGS="--seed 7 --hours 1"
	@$(BIN)/python -m tests.chaos $(ARGS)

parity: set-up ## our gate beside stock Great Expectations on random suites: make parity ARGS="--suites 200 --seed 1"
	@$(BIN)/python -m tests.parity $(ARGS)

check: set-up ## lint, format, types, layout and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/project

format: set-up ## put the code into its one form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench-ingest: set-up ## raw files to bronze beside bare Spark, and what many known files cost: make bench-ingest ARGS="--sizes 1,10"
	@$(BIN)/python -m benchmarks.ingest $(ARGS)
	@$(BIN)/python -m benchmarks.listing

bench-gate: set-up ## what the gate adds to a write beside Great Expectations, cuallee, soda: make bench-gate ARGS="--rows 1000000"
	@$(BIN)/python -m benchmarks.gate $(ARGS)

nightly: set-up ## one night: whatever is new goes through every table
	@$(BIN)/lake nightly

up: set-up ## start the embedded S3 server
	@$(BIN)/lake up

down: set-up ## stop the embedded S3 server
	@$(BIN)/lake down

clean: ## remove the environment and the local state, the embedded server's data and the keys too
	@test ! -x $(BIN)/lake || $(BIN)/lake down || true
	rm -rf .venv .lake *.egg-info .pytest_cache .ruff_cache .hypothesis
