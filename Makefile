# make demo       the whole pipeline on a synthetic summer; DATA=file-or-folder for your own readings
# make evaluate   both rule sets on readings of which the truth is known: DATA=folder, or the demo's summer
# make replay     the past look by look, and what Slack would have been told: DATA=file-or-folder
# make dev        Dagster on http://127.0.0.1:3000 and the page for people on http://127.0.0.1:8050 with the demo's
#                 data, or with your own Kafka (see README.md); PORT=3001 PAGE_PORT=8051 for other ports
# make test       format, lint, types and tests, in less than ten minutes
# make test-long  the tests that take long: kills, spoilt messages and full readers in large numbers; an hour at most
# make stress     kills, spoilt messages, broken Kafka and whole lives of installations, in larger numbers; prints the
#                 figures of docs/guarantees.md
# make mutants    change the code in hundreds of ways, one at a time, and name the changes that no test notices; an hour
#                 and a half. ARGS="--python 20 --sql 20" for fewer
# make format     rewrite the code in its one format
# make bench      measure against other ways to do the same
# make package   the wheel, the source archive and the notes of a release, in dist/
# make setup      make .venv with what the pipeline and the demo need (the other targets do it when needed)
# make clean      remove what the targets made

# The exit status of a pipe is that of its first command that failed.
SHELL := bash
.SHELLFLAGS := -o pipefail -c

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off --constraint constraints.txt

# pip would compile one module after the other.
INSTALL := $(PIP) --no-compile --editable
COMPILE := $(BIN)/python -m compileall -q -j 0 $(VENV)/lib

# Of the hundreds of lines that pip writes: which large packages it fetches, and when it begins to unpack.
IN_A_FEW_WORDS := sed -u -n \
	-e 's/^ *Downloading \([^-]*-[^-]*\).* (\([0-9.]* MB\))/  \1, \2/p' \
	-e 's/^ *Using cached \([^-]*-[^-]*\).* (\([0-9.]* MB\))/  \1, \2/p' \
	-e 's/^Installing collected packages.*/  all there; unpacking .../p' \
	-e 's/^Successfully installed.*/  done/p'

.PHONY: setup demo evaluate replay dev test test-long stress mutants lint format bench package clean

# Both are made anew whenever what is to be installed changes; otherwise a second call does nothing.
DEMO_INSTALLED := $(VENV)/demo-installed
TOOLS_INSTALLED := $(VENV)/tools-installed

setup: $(DEMO_INSTALLED)

$(DEMO_INSTALLED): pyproject.toml constraints.txt
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing the pipeline and the demo's broker, about 90 packages and a minute. The large ones:"
	@$(INSTALL) '.[web]' | $(IN_A_FEW_WORDS)
	@echo "Compiling them ..."
	@$(COMPILE)
	@touch $@

$(TOOLS_INSTALLED): $(DEMO_INSTALLED)
	@echo "Adding what tests and checks need, about 20 packages and a quarter of a minute. The large ones:"
	@$(INSTALL) '.[dev,web]' | $(IN_A_FEW_WORDS)
	@$(COMPILE)
	@touch $@

demo: setup
	$(BIN)/aqi-dagster demo $(if $(DATA),"$(DATA)")

evaluate: setup
	$(BIN)/aqi-dagster evaluate $(if $(DATA),"$(DATA)")

replay: setup
	$(BIN)/aqi-dagster replay "$(DATA)"

dev: setup
	$(BIN)/aqi-dagster dev $(if $(PORT),--port $(PORT)) $(if $(PAGE_PORT),--page-port $(PAGE_PORT))

# Two workers more than there are processors, since many of these tests wait for servers.
test: lint
	$(BIN)/pytest --numprocesses $$($(BIN)/python -c "import os; print((os.cpu_count() or 1) + 2)") -m "not long"

# Not file by file, as `make test` shares out its tests: these few are mostly of one file.
test-long: $(TOOLS_INSTALLED)
	$(BIN)/pytest --numprocesses auto --dist load -m long

stress: $(TOOLS_INSTALLED)
	$(BIN)/python -m tests.stress

mutants: $(TOOLS_INSTALLED)
	@echo "Adding what changes the code ..."
	@$(INSTALL) '.[dev,mutants,web]' | $(IN_A_FEW_WORDS)
	$(BIN)/python -m tests.mutants $(ARGS)

lint: $(TOOLS_INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TOOLS_INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	@echo "Adding what is measured against ..."
	@$(INSTALL) '.[bench,web]' | $(IN_A_FEW_WORDS)
	$(BIN)/python -m benchmarks

package: $(TOOLS_INSTALLED)
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	cp constraints.txt dist
	{ awk '/^## / {part++} part == 1' CHANGELOG.md; printf '\n### Tested with\n\n```\n'; cat constraints.txt; printf '```\n'; } > dist/NOTES.md

clean:
	rm -rf $(VENV) build dist .demo tests/kafka/jars tests/browser/screenshots tests/browser/axe/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
