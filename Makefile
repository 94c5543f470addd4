# Every command of the project. `make` alone lists them.
# Needs python3 >= 3.11 with venv, make and bash; everything else is installed into .tools/ and .venv/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
UV := .tools/bin/uv
PROTOS := $(shell find protos/reelroute -name '*.proto')
PY := kit vendors services sandbox cli deploy tests demo bench docs hatch_build.py
# Without .pyc files every start of a process would compile everything again.
export PYTHONDONTWRITEBYTECODE :=
export UV_PYTHON_DOWNLOADS := never
export UV_NO_CONFIG := 1

.PHONY: help run test check bench chaos forecast format docs images secrets lock import

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: .venv/.ok ## start everything on this machine, with a demo post; Ctrl-C stops it
	@exec $(BIN)/python -m deploy.local.up

test: .venv/.ok ## run the tests (ARGS="tests/scheduler -k claim" for some)
	@exec $(BIN)/python -m pytest -n 2 $(ARGS)

check: .venv/.ok ## what CI checks besides the tests: style, types, borders, contracts, deployment files
	$(BIN)/ruff check $(PY)
	$(BIN)/ruff format --check $(PY)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/yamllint --strict -c deploy/.yamllint.yaml deploy
	@mkdir -p build
	$(BIN)/python hatch_build.py --image build/protos.binpb
	$(BIN)/buf lint build/protos.binpb --path reelroute --config '{"version":"v2","lint":{"use":["STANDARD"]}}'
	cd protos && ../$(BIN)/buf format -d --exit-code >/dev/null || { echo "protos are not formatted: make format"; exit 1; }
	$(BIN)/python -m tests.check_breaking build/protos.binpb

bench: .venv/.ok .bench/.ok ## measure rate, lateness and claims beside three peers (half an hour; ARGS="drain --jobs 5000")
	@exec $(BIN)/python -m bench $(ARGS)

chaos: .venv/.ok ## kill processes at every message and at 1,000 random moments (SEEDS="17 40-60" or SEEDS=matrix for some)
	@exec $(BIN)/python -m tests.chaos "$(SEEDS)"

forecast: .venv/.ok ## live fourteen days with planted failures, and compare them with their forecast (about ten minutes)
	@exec $(BIN)/python -m tests.forecast

format: .venv/.ok ## format code and protos
	$(BIN)/ruff check --fix-only -q $(PY)
	$(BIN)/ruff format $(PY)
	cd protos && ../$(BIN)/buf format -w

import: .venv/.ok ## schedule a calendar: make import FILE=plan.csv [MEDIA=folder] [PRIVACY=…] [DRY_RUN=1] [YES=1]
	@exec $(BIN)/reelroute posts import "$(FILE)" $(if $(MEDIA),--media "$(MEDIA)") \
	  --privacy "$(or $(PRIVACY),SELF_ONLY)" $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes)

# What `make bench` measures beside us, with the drivers that they name; in an environment of its own.
PEERS := procrastinate pgqueuer 'apscheduler<4' aiohttp uvloop asyncpg 'psycopg[binary,pool]' sqlalchemy psycopg2-binary
LOCK := $(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header
docs: .venv/.ok ## write the pages that are made from the code
	$(BIN)/python -m docs.make_configuration
	$(BIN)/python -m docs.make_errors
	$(BIN)/python -m docs.make_routing

images: ## build the image of each service (SERVICES="content gateway" for some)
	@deploy/build_images.sh $(SERVICES)

secrets: ## make the secrets of deploy/compose.yaml; changes none that is there
	@$(PYTHON) -m deploy.make_secrets

lock: $(UV) ## pin the dependencies of pyproject.toml (UPGRADE=--upgrade moves them)
	$(LOCK) $(UPGRADE) --all-extras --group dev pyproject.toml -o requirements.lock
	echo uv | $(LOCK) $(UPGRADE) - -o tools/uv.txt
	printf '%s\n' $(PEERS) | $(LOCK) $(UPGRADE) -c requirements.lock - -o tools/bench.txt
	! grep -nE 'https?://|file:' requirements.lock tools/uv.txt tools/bench.txt

$(UV): tools/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Reelroute needs Python 3.11 or newer.")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'Python lacks venv. On Debian: apt-get install python3-venv'; exit 1; }
	@echo '· preparing the installer'
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install -q --disable-pip-version-check --require-hashes -r tools/uv.txt
	@touch $@

.venv/.ok: $(UV) requirements.lock pyproject.toml hatch_build.py $(PROTOS)
	@echo '· installing the dependencies (the first time downloads about 200 MB)'
	@$(UV) venv -q --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --require-hashes requirements.lock 2>&1 | { grep -vE '^ ([+-]|Downloaded) ' || true; }
	@echo '· building the contracts'
	@$(UV) pip install -q --no-deps --no-build-isolation -e .
	@touch $@

.bench/.ok: $(UV) tools/bench.txt
	@echo '· installing what is measured beside us'
	@$(UV) venv -q --allow-existing --python $(PYTHON) .bench
	@$(UV) pip sync -q --require-hashes --python .bench tools/bench.txt
	@touch $@
