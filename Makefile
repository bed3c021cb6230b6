# Each target sets up what it needs: Python >= 3.11, pip and make are enough.

VENV ?= .venv
PYTHON ?= python3
PIP_ARGS ?=
EXTRA ?= dev
WORKERS ?= 2
CASES ?= 900

BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet install $(PIP_ARGS)
LIBRARY_INSTALLED := $(VENV)/.bottomup-library-installed
INSTALLED := $(VENV)/.bottomup-installed
DOCS_INSTALLED := $(VENV)/.bottomup-docs-installed

.DEFAULT_GOAL := help
.PHONY: help install demo test slow gpu fuzz lowest check bench docs clean

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(INSTALLED) ## a virtual environment, .venv, with bottomup (editable) and its development tools

demo: $(LIBRARY_INSTALLED) ## train on synthetic people, evaluate, and draw what was found into outputs/demo: four to nine minutes, the installation among them
	@echo "training: two to five minutes on two CPU cores; interrupted, make demo goes on where it stopped"
	$(BIN)/bottomup train output=outputs/demo $(if $(wildcard outputs/demo/last.pt),resume=true,experiment=demo/associative_embedding overwrite=true)
	$(BIN)/bottomup evaluate weights=outputs/demo/best.pt data.split=test output=outputs/demo/evaluate
	@echo "pictures of the best and the worst images: outputs/demo/evaluate/pictures"

test: $(INSTALLED) ## all tests
	$(BIN)/python -m pytest -n $(WORKERS)

slow: $(INSTALLED) ## the tests that make test leaves out: every decoder exported, half a minute each; every crossing on a made-up GPU
	$(BIN)/python -m pytest -m slow

gpu: $(INSTALLED) ## the tests that need a GPU: training, prediction and compiled networks on it
	$(BIN)/python -m pytest -m gpu

fuzz: $(INSTALLED) ## ten thousand changed files and options: each is read, or refused in one sentence; minutes
	BOTTOMUP_FUZZ=$(CASES) $(BIN)/python -m pytest tests/fuzz

lowest: ## all tests with the lowest versions that pyproject.toml allows, in an environment of their own
	@mkdir -p build && $(PYTHON) .ci/lowest.py > build/lowest.txt
	$(MAKE) VENV=.venv-lowest PIP_ARGS="$(PIP_ARGS) --constraint $(CURDIR)/build/lowest.txt" EXTRA=test test

check: $(INSTALLED) ## lint, format, types and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layering.py

bench: $(LIBRARY_INSTALLED) ## train, judge and time a small matrix of methods and crossings; a page of it in outputs/bench
	$(BIN)/bottomup benchmark matrix=small output=outputs/bench
	$(BIN)/bottomup report results=outputs/bench
	@echo "side by side: outputs/bench/report.html"

docs: $(DOCS_INSTALLED) ## the pages of docs/ as HTML in build/docs; a dead link or a missing reference fails it
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "the pages: build/docs/index.html"

clean: ## remove caches and build products; environments and outputs stay
	rm -rf build dist .hypothesis .mypy_cache .ruff_cache .pytest_cache
	find bottomup benchmarks docs examples tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian ships venv without ensurepip: there the outer pip puts one into the environment.
$(LIBRARY_INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no '$(PYTHON)' found; name a Python >= 3.11: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("bottomup needs Python >= 3.11, but $(PYTHON) is %d.%d; name another: make PYTHON=python3.12 ..." % v[:2])'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install --quiet $(PIP_ARGS) pip; }
	@echo "installing bottomup into $(VENV) (PyTorch is large: minutes the first time)"
	@$(BIN)/python $(PIP) --editable .
	@touch $@

$(INSTALLED): $(LIBRARY_INSTALLED)
	@$(BIN)/python $(PIP) --editable '.[$(EXTRA)]'
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@$(BIN)/python $(PIP) --editable '.[docs]'
	@touch $@
