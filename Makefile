# Everything works from a fresh checkout: each target first brings .venv up to date, which touches
# the network only when requirements.lock or pyproject.toml is newer than the last set-up.
#
#   make PYTHON=/path/to/python3.12       choose the Python; otherwise the first of those below
#   make PIP_FLAGS="--index-url URL"      or any other flag for pip
#
# On Linux the plain torch brings CUDA with it, several GB.  Where no GPU is to be used, let
# PIP_FLAGS name PyTorch's own CPU index with --index-url, and the usual one with
# --extra-index-url; or a folder of downloaded wheels: PIP_FLAGS="--find-links DIR".

PYTHON ?=
PIP_FLAGS ?=

CANDIDATES := python3 python3.12 python3.13 python3.11 python
RUN := .venv/bin/python -m
READY := .venv/.ready
SUITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

# Two processes; the tests of one file run in one of them, so that what is made for the file is made
# once.
SIDE_BY_SIDE := -n 2 --dist loadfile

# The equations, every engine and mask on one cell of the twelve, the layer beside torch's, how runs
# are kept, and the page's arithmetic; nothing that starts processes of its own.
QUICK := $(addprefix tests/,test_architecture.py test_equations.py engines layer/test_lstm.py \
  layer/test_padding.py layer/test_edges.py steps/test_train_steps_declined.py \
  training/test_runs.py training/test_training.py files/test_whole.py \
  explorer/test_explorer_core.py) $(addprefix --ignore=tests/engines/test_,fork.py watching.py calls.py)
QUICK_CELL := "not conforms and not hand_written or coupled-peephole-tanh"

.DEFAULT_GOAL := help
.PHONY: help install demo reproduce test quick bench mutants fuzz sanitize check screenshots lint docs wheel ecosystem moved

help:  ## Say what there is
	@echo "make TARGET, where TARGET is one of:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile

install: $(READY)  ## Set up .venv, once

demo: $(READY)  ## Learn every sum and forecast the sunspots: a minute
	@sh examples/demo.sh

reproduce: $(READY)  ## Run every published figure over five seeds: some minutes
	@.venv/bin/unrolled reproduce

# Each test process would else compile every source anew, and rewrite the assertions of every test.
test quick: export PYTHONDONTWRITEBYTECODE :=

test: $(READY)  ## Run all tests: ten minutes on two cores
	@$(RUN) pytest $(SIDE_BY_SIDE)

quick: $(READY)  ## Run the tests that tell most: under a minute on two cores
	@$(RUN) pytest $(SIDE_BY_SIDE) $(QUICK) -k $(QUICK_CELL)

bench: $(READY)  ## Time the layer beside torch's and others, taking turns: two minutes
	@.venv/bin/unrolled bench

mutants: $(READY)  ## Break the code in many ways and see the tests go red: some minutes
	@.venv/bin/python tests/mutants.py

fuzz: $(READY)  ## Wrong inputs, flipped bits, kills: 3,620 cases, some minutes (FUZZ="--seed 5")
	@.venv/bin/python tests/fuzzing/campaign.py $(FUZZ)

sanitize: $(READY)  ## Run the native engine under AddressSanitizer and UBSan: five minutes
	@sh tests/sanitize.sh

check: $(READY)  ## Look for what is wrong in the source, without running it
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@if [ -x node_modules/.bin/tsc ]; then node_modules/.bin/tsc; \
	  elif [ -n "$$UNROLLED_REQUIRE_BROWSER" ]; then echo "make: typescript is not there: npm ci" >&2; exit 1; \
	  else echo "the types of the explorer's page are not checked: npm ci brings typescript"; fi

screenshots: $(READY)  ## Take the explorer's pictures for the docs, in Chromium
	@.venv/bin/python tests/screenshots.py "$(RUNS)"

# The lock names all that the libraries pull in; most of it is never imported, so nothing is compiled.
ecosystem: $(READY)  ## Install the libraries that adapters and examples are tested with
	@if ! cmp -s requirements-ecosystem.lock .venv/.ecosystem; then \
	  $(RUN) pip install --disable-pip-version-check --quiet --no-deps --no-compile $(PIP_FLAGS) \
	    -r requirements-ecosystem.lock && cp requirements-ecosystem.lock .venv/.ecosystem || exit 1; fi

# Not with --quiet, which hides warnings from --strict too.
docs: $(READY)  ## Write the documentation as a site; every warning is an error
	@if ! cmp -s requirements-docs.lock .venv/.docs; then \
	  $(RUN) pip install --disable-pip-version-check --quiet $(PIP_FLAGS) -c requirements.lock \
	    -r requirements-docs.lock && cp requirements-docs.lock .venv/.docs || exit 1; fi
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict
	@echo "written: build/site/index.html"

# The wheel is built out of the sdist, which so is shown to be whole, and installed where nothing of
# the checkout is.  Its dependencies come at the versions of requirements.lock.
wheel: $(READY)  ## Build an sdist and a wheel, and try the wheel in an environment of its own
	@rm -rf dist build/wheel
	@.venv/bin/python -c 'from scikit_build_core.build import build_sdist; build_sdist("dist")'
	@if [ "$$(cat dist/*.tar.gz | wc -c)" -ge 1000000 ]; then \
	  echo "make: the sdist has 1 MB or more: see sdist.exclude in pyproject.toml" >&2; exit 1; fi
	@$(RUN) pip wheel --disable-pip-version-check --quiet --no-index --no-build-isolation --no-deps \
	  --wheel-dir dist dist/*.tar.gz
	@.venv/bin/python -m venv build/wheel
	@build/wheel/bin/python -m pip install --disable-pip-version-check --quiet $(PIP_FLAGS) \
	  -c requirements.lock dist/*.whl
	@build/wheel/bin/python -I tests/wheel.py
	@ls -l dist

lint: $(READY)  ## Mend what can be mended in the source, and its layout
	@$(RUN) ruff check --fix
	@$(RUN) ruff format

# A virtual environment holds the path of its checkout: one that was moved or copied is made anew.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(READY): moved
endif

# A .venv of another Python, or left half made by an interruption, is made anew too.
$(READY): requirements.lock pyproject.toml CMakeLists.txt $(shell find src -type f)
	@found=; for python in $(or $(PYTHON),$(CANDIDATES)); do \
	  if $$python -c '$(SUITS)' >/dev/null 2>&1; then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then \
	  echo "make: Python 3.11, 3.12 or 3.13 is needed, and none is found as" \
	    "$(or $(PYTHON),$(CANDIDATES)): install one, or say where with" \
	    "make PYTHON=/path/to/python3" >&2; exit 1; fi; \
	if ! $$found -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "make: $$found cannot make a virtual environment: install its venv module" \
	    "(on Debian and Ubuntu, the package python3-venv)" >&2; exit 1; fi; \
	if { [ -s $(READY) ] && [ "$$(cat $(READY))" != "$(CURDIR)" ]; } || \
	   ! .venv/bin/python -c 'import pip; $(SUITS)' >/dev/null 2>&1; then \
	  echo "making .venv with $$found"; $$found -m venv --clear .venv || exit 1; fi
	@if ! cmp -s requirements.lock .venv/.locked; then \
	  $(RUN) pip install --disable-pip-version-check --quiet $(PIP_FLAGS) -r requirements.lock && \
	  cp requirements.lock .venv/.locked || exit 1; fi
	@$(RUN) pip install --disable-pip-version-check --quiet --no-index --no-build-isolation \
	  --no-deps --force-reinstall .
	@printf '%s' "$(CURDIR)" > $@
