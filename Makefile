# Sets itself up: every target first makes the virtual environment it needs, and only when pyproject.toml changed.
PYTHON ?= python3
VENV ?= .venv
# More words for pip, for example the index that has PyTorch's builds without CUDA.
PIP_ARGS ?=
# More words for pytest, for example PYTEST_ARGS="-k phone".
PYTEST_ARGS ?=

BIN := $(VENV)/bin
CORE := $(VENV)/.core-stamp
DEV := $(VENV)/.dev-stamp
ALL := $(VENV)/.all-stamp
DOCS := $(VENV)/.docs-stamp
# Debian packages that only test-all needs; it installs them when root, and leaves out the tests that lack theirs.
DEBIAN := chromium libosmesa6 xvfb openbox xclip xterm x11-apps mousepad pcmanfm dbus-daemon
# One process of tests per core, and one thread in each: more would only get into each other's way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)
QUICK := not slow and not multiprocess and not browser and not desktop and not device and not gpu
# Without a phone named by QWEN2VL_AGENT_SERIAL, or without CUDA, there is nothing that those tests could run on.
NO_PHONE := $(if $(QWEN2VL_AGENT_SERIAL),,not device)
NO_CUDA := $(if $(wildcard /dev/nvidia0),,not gpu)
POSSIBLE := $(NO_PHONE)$(if $(NO_PHONE),$(if $(NO_CUDA), and ))$(NO_CUDA)

# `make test test-all` runs no test twice: what passed is left out, what was skipped for want of an extra is run.
# With `=`: pytest would take an existing file after a space for the tests to run, and not find the option.
PASSED := $(VENV)/.passed
BOTH := $(and $(filter test,$(MAKECMDGOALS)),$(filter test-all,$(MAKECMDGOALS)))

# Of coverage: which tests; COVERED="$(QUICK)" would be those of make test.
COVERED ?= $(POSSIBLE)

DEMO_TASK ?= clock.add_labelled_alarm
DEMO_SEED ?= 1
# More words for run: the embedded model acts; another is shown with DEMO_FLAGS="--model FOLDER", the bundled solution
# with DEMO_FLAGS="--policy oracle".
DEMO_FLAGS ?=

# torture: how many cases, which ones (another seed, other cases), how long to endure (benchmarks/soak.py), where to.
TORTURE_CASES ?= 50000
TORTURE_SEED ?= 0
TORTURE_SOAK ?= --steps 2000 --episodes 500 --phones 8 --clients 8 --seconds 600
TORTURE_OUT ?= runs/torture

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check bench docs wheel torture coverage clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

demo: $(CORE) ## set up and watch a task being done on a virtual phone
	$(BIN)/qwen2vl-agent run --device android --serial virtual --task $(DEMO_TASK) --seed $(DEMO_SEED) $(DEMO_FLAGS)

test: $(DEV) ## set up and run the quick tests
	$(PYTEST) -m "$(QUICK)" $(if $(BOTH),--note-passed=$(PASSED))

test-all: $(DOCS) ## the quick tests and those that take long, start several processes or need a browser or X
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && ! dpkg -s $(DEBIAN) > /dev/null 2>&1; then \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends $(DEBIAN) \
	  || echo "make: without $(DEBIAN) some tests are skipped"; fi
	$(PYTEST) -m "$(POSSIBLE)" $(if $(BOTH),--without-passed=$(PASSED))

check: $(DEV) ## format, lint, types, layers, spelling, insecure code, known vulnerabilities
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml qwen2vl_agent .ci docs
	$(BIN)/python .ci/audit.py

bench: $(CORE) ## measure on the bundled phone tasks
	$(BIN)/qwen2vl-agent bench phone --policy model --episodes 10 --seed 20000 --out runs/bench-phone

wheel: ## build wheel and sdist into dist/, install the wheel in a clean environment, and try it there
	$(PYTHON) .ci/wheel.py dist $(PIP_ARGS)

torture: $(DEV) ## hostile input for every reader, faults of phones, killed programs, and endurance; sizes by TORTURE_*
	$(BIN)/python -m fuzz --cases $(TORTURE_CASES) --seed $(TORTURE_SEED) --out $(TORTURE_OUT)/fuzz.json
	$(PYTEST) tests/envs/test_fault_matrix.py tests/envs/test_phone_faults.py tests/agent/test_killed_episode.py \
	  tests/training/test_killed.py tests/trajectory/test_nothing_lost.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/soak.py $(TORTURE_SOAK) --out $(TORTURE_OUT)/soak.json

coverage: $(ALL) ## run the tests that can run here and write what they leave out into docs/coverage.md
	$(BIN)/coverage erase
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -q -n auto --dist loadfile -m "$(COVERED)" $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage json --quiet -o build/coverage.json
	$(BIN)/python .ci/coverage_page.py build/coverage.json '$(if $(findstring not slow,$(COVERED)),`make test`,`make test-all`)'

docs: $(DOCS) ## build the site strictly, check its links, look at its pages, run every command line of README and pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest -q tests/docs
	@if command -v chromium > /dev/null && command -v npm > /dev/null; then \
	  npm pack --silent --pack-destination build axe-core > /dev/null \
	  && tar xzf build/axe-core-*.tgz -C build package/axe.min.js \
	  && $(BIN)/python docs/check_pages.py build/site --axe build/package/axe.min.js --out build/pictures-of-pages; \
	  else echo "make: the pages are looked at where chromium and npm are"; fi
	$(BIN)/python docs/run_snippets.py

clean: ## remove the virtual environment and the caches of the tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is too old; Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install $(PIP_ARGS) --quiet --editable .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install $(PIP_ARGS) --quiet --editable '.[dev]'
	@touch $(CORE) $@

$(ALL): pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install $(PIP_ARGS) --quiet --editable '.[dev,all]'
	$(BIN)/python -m pip install $(PIP_ARGS) --quiet --force-reinstall --no-deps 'python-xlib>=0.33,<1'
	@touch $(CORE) $(DEV) $@

$(DOCS): $(ALL)
	$(BIN)/python -m pip install $(PIP_ARGS) --quiet --editable '.[dev,all,docs]'
	@touch $@
