# Everything a contributor or operator calls. Needs Debian 12 with Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Byte code is made for what is imported, when it is: half the time of a first set-up.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
  --no-compile --require-hashes
RUN_STAMP := $(VENV)/.run-$(shell sha256sum requirements/base.txt | cut -c1-16)
DEV_STAMP := $(VENV)/.dev-$(shell sha256sum requirements/dev.txt | cut -c1-16)
TEMPLATES = $(shell find templates -name '*.html')
# Checks import the settings, which make a data directory: not the real one.
SCRATCH = POOL_DATA_DIR=$$(mktemp -d) POOL_PUBLIC_URL=https://pool.example

.PHONY: help setup run test check bench prove css clean

help:
	@echo "make setup   install the locked dependencies and the pool command into .venv"
	@echo "make run     set up and serve; prints the console's address"
	@echo "make test    all tests in their short forms"
	@echo "make check   format, lint, types, layers, migrations, templates"
	@echo "make bench   compare with a bare relay and nginx"
	@echo "make prove   the long forms; writes docs/proof.md"
	@echo "make css     rebuild static/ (maintainers; needs Node)"

setup: $(DEV_STAMP) $(BIN)/pool

run: $(RUN_STAMP) $(BIN)/pool
	@exec $(BIN)/pool serve

test: setup
	$(BIN)/python -m tests.stages

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(SCRATCH) $(BIN)/python manage.py makemigrations --check --dry-run
	$(SCRATCH) $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/djade --target-version 5.2 --check $(TEMPLATES)

bench: setup
	$(BIN)/python -m bench --write

prove: setup
	$(BIN)/python -m scripts.prove

css:
	npm install --silent --no-package-lock
	npm run build

clean:
	rm -rf $(VENV) build dist *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing: apt-get install -y python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: apt-get install -y python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# Serving needs the small set, testing the large one, which contains it.
$(RUN_STAMP): | $(BIN)/python
	@test -e $(DEV_STAMP) || $(PIP) -r requirements/base.txt
	@touch $@

$(DEV_STAMP): | $(BIN)/python
	@$(PIP) -r requirements/dev.txt
	@touch $@ $(RUN_STAMP)

# A script instead of an editable install: nothing to build, nothing to download.
$(BIN)/pool: Makefile | $(BIN)/python
	@printf '%s\n' '#!$(CURDIR)/$(BIN)/python' 'import sys' \
	  'sys.path.insert(0, "$(CURDIR)")' 'from poolsite.cli import main' \
	  'sys.exit(main())' > $@
	@chmod +x $@
