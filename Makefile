# tapstack: `make up` starts the stack and its shell, `make test` runs everything. See `make help`.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.complete

.DELETE_ON_ERROR:
.PHONY: help setup up test check check-half check-other-half lint live drill bench profile scenarios worlds worst-link clean tools

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(STAMP) ## make .venv with tapstack and everything its tests need

$(STAMP): pyproject.toml tools/require
	@tools/require python $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

up: setup ## start the stack on a TAP device, with its shell
	@$(BIN)/tapstack up

test: setup tools lint ## check everything, live tests on real TAP devices included
	@$(BIN)/python -m pytest -m live; live=$$?; \
	$(TWO_PARTS) KINDS='not live' && exit $$live

check: setup lint ## check in about a minute what needs neither root nor a TAP device
	@$(TWO_PARTS) KINDS='not live and not slow'

# Tests that do not keep real time, in two parts that take about as long, on a processor each.
TWO_PARTS := $(MAKE) --no-print-directory --jobs=2 --output-sync check-half check-other-half
HALF := $(addprefix tests/,properties scenarios sim drill shell ip device base)
check-half:
	$(BIN)/python -m pytest -m '$(KINDS)' $(HALF)
check-other-half:
	$(BIN)/python -m pytest -m '$(KINDS)' tests $(HALF:%=--ignore=%)

live: setup tools ## run only the live tests
	$(BIN)/python -m pytest -m live

drill: setup ## play the scripts of tests/drill on the stack, in virtual time
	$(BIN)/tapstack drill tests/drill

bench: setup tools ## compare with the kernel, side by side (4 minutes; QUICK=1: one)
	$(BIN)/python -m bench.side_by_side $(if $(QUICK),--quick)

profile: setup ## tell what a frame costs in each layer, without the kernel
	$(BIN)/python -m bench.layers

scenarios: setup ## write docs/scenarios.md anew: goodput over lossy paths (6 minutes)
	$(BIN)/python -m bench.scenarios

worlds: setup ## run ten thousand random worlds (some seven minutes)
	$(BIN)/python -m tests.properties.many_worlds 10000

worst-link: setup ## send a gigabyte over the worst link, in virtual time
	$(BIN)/python -m bench.worst_link

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

tools:
	@tools/require tools

clean: ## remove everything that was made
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
