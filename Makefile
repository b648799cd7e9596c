# `make demo` and `make test` do everything. Each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
# Further words for `make test`, for example SELECT="-m slow".
SELECT ?=
# Where `make tables` keeps what it measured.
TABLES ?= runs/tables
BIN := $(VENV)/bin
PACKAGES := core tasks backends agents
# The help of the commands is a table, which no check of prose can read.
PROSE := README.md CONTRIBUTING.md docs/decisions changelog.d $(filter-out docs/cli.md,$(wildcard docs/*.md))
SOURCES := $(PACKAGES) tests examples benchmarks docs

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast check format bench tables clean

help:
	@echo "make demo    set up, train an agent on the simulator and see what it learnt (about a minute)"
	@echo "make test    set up and run all tests"
	@echo "make check   format, lint, types, import contracts, spelling and prose, the fast tests"
	@echo "make bench   print the speed ratios"
	@echo "make tables  measure every agent in every condition (some hours; goes on where it stopped)"

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

install: $(VENV)/.installed

demo: install
	$(BIN)/python examples/demo.py

test: install
	$(BIN)/python -m pytest -n auto --dist worksteal $(SELECT)

test-fast: install
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

check: install
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(filter-out tests,$(SOURCES)) $(PROSE) Makefile pyproject.toml
	$(BIN)/proselint check --config proselint.json $(PROSE)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

format: install
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: install
	$(BIN)/python -m benchmarks

tables: install
	$(BIN)/python -m benchmarks.tables --out $(TABLES) --jobs 2

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
