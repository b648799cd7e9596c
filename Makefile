# Two commands do everything: `make demo` and `make test`. Each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
# Further words for `make test`, for example SELECT="-m slow".
SELECT ?=
# Where `make tables` keeps what it measured.
TABLES ?= runs/tables
BIN := $(VENV)/bin
PACKAGES := core tasks backends agents
SOURCES := $(PACKAGES) tests examples benchmarks training docs

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast check format bench tables clean

help:
	@echo "make demo    set up, train an agent on the simulator and see what it learnt (under 5 min)"
	@echo "make test    set up and run all tests"
	@echo "make check   format, lint, types, import contracts and the fast tests"
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
