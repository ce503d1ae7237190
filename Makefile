# One command each; every target first installs what it needs (see sandbox/bootstrap) and a second
# run installs nothing. Needed beforehand: Linux x86-64, Python 3.11 or newer with venv, make.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench invariants chaos soak fuzz client train contracts lock fmt clean distclean
MAKEFLAGS += --no-print-directory

# Whatever runs keeps its files in here: nothing is written outside the repository, home included.
run := $(CURDIR)/.run
runtime := env HOME='$(run)/home' TMPDIR='$(run)/tmp' XDG_CACHE_HOME='$(run)/cache' \
	XDG_CONFIG_HOME='$(run)/home/.config' XDG_DATA_HOME='$(run)/home/.local/share' \
	PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR='$(run)/numba' \
	MPLCONFIGDIR='$(run)/matplotlib' RUFF_CACHE_DIR='$(run)/ruff' MYPY_CACHE_DIR='$(run)/mypy' \
	HYPOTHESIS_STORAGE_DIRECTORY='$(run)/hypothesis' CAAS_NODE="$$(cat '$(CURDIR)/.cache/node-path' 2>/dev/null)"
python := .venv/bin/python
bootstrap := mkdir -p .run/home .run/tmp && sh sandbox/bootstrap/bootstrap.sh

# Three runs side by side, each with a stack of its own, a file of tests in one of them: most tests
# wait for blocks and timers. In the order of tests/conftest.py, so that the longest do not come last.
beside := -n 3 --dist loadfile --no-loadscope-reorder

# make demo ONCE=1 PERSONA=approved
ONCE ?=
PERSONA ?=
# make test ARGS='-k settle -x', make bench ONLY=loan, make lock UPGRADE=1
ARGS ?=
ONLY ?=
# make invariants STATE=.demo, make chaos N=200 FAULTS=40 SEED=1
STATE ?= .demo
N ?=
FAULTS ?=
SEED ?=
UPGRADE ?=
MINUTES ?=

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo:  ## one loan from application to final settlement (ONCE=1 ends after it, PERSONA=name)
	@$(bootstrap) venv node anvil
	@exec $(runtime) ONCE='$(ONCE)' PERSONA='$(PERSONA)' $(python) -m sandbox.demo

test:  ## format, lint, types, import rules and all tests (ARGS= for pytest)
	@$(bootstrap) venv node anvil contracts oidc
	@$(MAKE) --no-print-directory -s .house
	@$(runtime) $(python) -m pytest $(beside) $(ARGS)

check:  ## the quick part of test: no embedded services
	@$(bootstrap) venv node contracts oidc
	@$(MAKE) --no-print-directory -s .house
	@$(runtime) $(python) -m pytest -m 'not stack' $(ARGS)

.PHONY: .house
.house:
	@$(runtime) $(python) -m ruff format --check --quiet . || { echo 'format: run make fmt' >&2; exit 1; }
	@$(runtime) $(python) -m ruff check --quiet .
	@$(runtime) $(python) -m mypy
	@$(runtime) .venv/bin/lint-imports --cache-dir .run/import-linter

bench:  ## measure on real services, a JSON line a figure (ONLY=name of one subject)
	@$(bootstrap) venv node anvil
	@exec $(runtime) ONLY='$(ONLY)' $(python) -m bench

invariants:  ## count what is violated on a stack that runs (STATE=.demo), a JSON line each
	@$(bootstrap) venv
	@exec $(runtime) $(python) -m bench.invariants '$(STATE)'

chaos:  ## applications of all personas under random faults (N=200 FAULTS=40 SEED=…), then invariants
	@$(bootstrap) venv node anvil
	@exec $(runtime) $(python) -m bench.chaos --applications '$(or $(N),200)' --faults '$(or $(FAULTS),40)' --seed '$(SEED)'

soak:  ## the same with 10,000 applications and 1,000 faults, resumable; then the gateway for ten minutes, 100,000 webhooks
	@$(bootstrap) venv node anvil
	@$(runtime) $(python) -m bench.chaos --soak --applications '$(or $(N),10000)' --faults '$(or $(FAULTS),1000)' --seed '$(SEED)'
	@$(runtime) $(python) -m bench.gateway --seconds 600
	@exec $(runtime) $(python) -m bench.webhooks --deliveries 100000

fuzz:  ## schemathesis over the whole API on a stack of its own (MINUTES=10 N=50 SEED=…)
	@$(bootstrap) venv node anvil
	@exec $(runtime) MINUTES='$(MINUTES)' N='$(N)' SEED='$(SEED)' $(python) -m sandbox.fuzz

client:  ## make the Python client, the Postman collection and docs/problems.md from the API's description
	@$(bootstrap) venv
	@$(runtime) $(python) -m clients.generate

train:  ## train the shipped risk model again
	@$(bootstrap) train
	@mkdir -p .run/home .run/tmp
	@$(runtime) .cache/train-venv/bin/python -m models.risk.training

contracts:  ## compile the contracts and run their tests with forge
	@$(bootstrap) venv node contracts
	@cd contracts && $(runtime) "$$(cat ../.cache/node-path)" compile.mjs
	@cd contracts && $(runtime) "$$(cat ../.cache/node-path)" run-forge.mjs

lock:  ## re-make the lock files from pyproject.toml (UPGRADE=1 takes newer versions)
	@$(bootstrap) lock $(if $(UPGRADE),--upgrade)

fmt:  ## format and sort imports
	@$(bootstrap) venv
	@$(python) -m ruff check --quiet --select I --fix . && $(python) -m ruff format .

clean:  ## remove what runs left behind
	@rm -rf .run .demo contracts/out contracts/cache .hypothesis

distclean: clean  ## remove what was installed, too
	@rm -rf .venv .cache sandbox/node/node_modules contracts/node_modules tests/oidc/node_modules
