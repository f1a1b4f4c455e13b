# make setup   make .venv with everything (the other targets do it when needed)
# make demo    the whole pipeline on a synthetic summer; DATA=file-or-folder for your own readings
# make dev     Dagster on http://127.0.0.1:3000 with the demo's data, or with your own Kafka (see README.md);
#              PORT=3001 for another port
# make test    format, lint, types and tests
# make stress  kill, spoil and break in large numbers; takes a quarter of an hour
# make format  rewrite the code in its one format
# make bench   measure against other ways to do the same
# make clean   remove what the targets made

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo dev test stress lint format bench clean

setup: $(VENV)/installed

# Made anew whenever what is to be installed changes; otherwise a second call does nothing.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): a minute or two, without a word ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[broker,dev]'
	touch $@

demo: setup
	$(BIN)/aqi-dagster demo $(if $(DATA),"$(DATA)")

dev: setup
	$(BIN)/aqi-dagster dev $(if $(PORT),--port $(PORT))

test: lint
	$(BIN)/pytest --numprocesses auto

stress: setup
	$(BIN)/python -m tests.stress

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .demo tests/kafka/jars tests/browser/screenshots .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
