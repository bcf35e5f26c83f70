# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
# uv does the installing: the one on PATH, else one that pip puts into .venv.

VENV   := .venv
# How many tests run at once: each also keeps the engines busy.
WORKERS ?= 2
# The first that runs and is new enough: a name on PATH may be a shim that leads nowhere.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$p; break; }; done)
UV     := $(or $(shell command -v uv 2>/dev/null),$(VENV)/bin/uv)
INSTALL = $(UV) pip install --quiet --python $(VENV)/bin/python --constraint constraints.txt

.PHONY: help demo test unit contract page docker-test lint docs screenshots wheel lock audit starter clean
help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 14

$(VENV)/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || \
	  { echo "Python 3.11 or newer is needed. Install one, or say where it is: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.package: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing hybrid-search with its models (PyTorch is large: some minutes the first time)"
	@$(INSTALL) --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.package
	@echo "Installing the tools for tests"
	@$(INSTALL) --editable '.[all,frameworks,onnx,openvino,ray,s3,gcs,train,images]' --group dev
	@# Where Python may not keep bytecode, every process that a test starts would compile PyTorch anew (11 s).
	@test -z "$$PYTHONDONTWRITEBYTECODE" || $(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	@touch $@

# The page is tested in a real browser: Debian's, since Playwright's own cannot be had everywhere. Without one those
# tests are skipped, and say so.
$(VENV)/.browser: | $(VENV)/.dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  test -n "$$HYBRID_SEARCH_TEST_CHROMIUM" || { \
	  command -v apt-get >/dev/null && test "$$(id -u)" = 0 && echo "Installing Chromium for the tests of the page" && \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } || \
	  echo "No Chromium: the tests of the page in a browser will be skipped (install the package chromium)"
	@touch $@

demo: $(VENV)/.package ## Start a real OpenSearch, index Python's documentation, answer five questions
	@$(VENV)/bin/hybrid-search demo

# A test file is one worker's, so that what a module starts is started once; the workers share the engines.
test: $(VENV)/.dev $(VENV)/.browser ## Every test: unit, contract on real engines, faults, examples, README
	@test -z "$$PYTHONDONTWRITEBYTECODE" || $(VENV)/bin/python -m compileall -q -j 0 hybrid_search >/dev/null || true
	@$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

unit: $(VENV)/.dev ## Tests that need no server
	@$(VENV)/bin/python -m pytest tests/unit

contract: $(VENV)/.dev ## Tests on the real engines
	@$(VENV)/bin/python -m pytest tests/contract

page: $(VENV)/.dev $(VENV)/.browser ## Tests of the workbench, in a real browser
	@$(VENV)/bin/python -m pytest tests/serve

docker-test: $(VENV)/.dev ## Tests in containers, on the Docker engine that is there
	@$(VENV)/bin/python -m pytest tests/docker

lint: $(VENV)/.dev ## ruff and mypy
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

docs: $(VENV)/.dev ## Write docs/cli.md anew from the commands' own help
	@$(VENV)/bin/python docs/cli_reference.py

screenshots: $(VENV)/.dev $(VENV)/.browser ## Take the pictures of docs/workbench.md anew, on the local node
	@$(VENV)/bin/python docs/screenshots.py

wheel: $(VENV)/.dev ## Build the wheel into dist/
	@$(UV) build --quiet --wheel --out-dir dist

lock: $(VENV)/.dev ## Write the images' locks and the wheel's list of parts (SBOM) from constraints.txt
	@.ci/lock

audit: $(VENV)/.dev ## Known vulnerabilities and licences of the dependencies
	@.ci/audit

starter: $(VENV)/.dev ## Train the starter sparse model anew from text in Debian packages, in under an hour
	@$(VENV)/bin/python -m training

clean: ## Remove what was built and installed here (not the local node's data)
	@rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
