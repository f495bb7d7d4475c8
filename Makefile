# Every target sets up its own .venv first; only Python ≥ 3.11 must be installed.
PYTHON ?= python3
BIN := .venv/bin
# Keep compiled bytecode, whatever the machine's setting: many processes of a test run import the package.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help demo test quick torture soak lab bench lock check catalogue notebooks gallery clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/ready  ## Drain the built-in sandbox, write a snapshot, draw charts (no AWS account)
	$(BIN)/appstream-frames demo appstream-demo

test: .venv/ready  ## All tests, with two processes more than processors, as many of them wait
	$(BIN)/python -m pytest -q --numprocesses $$($(BIN)/python -c 'import os; print(2 + (os.cpu_count() or 1))') --dist loadfile --no-loadscope-reorder

quick: .venv/ready  ## The fast tests, for use while you work
	$(BIN)/python -m pytest -q -m "not slow" --numprocesses $$($(BIN)/python -c 'import os; print(2 + (os.cpu_count() or 1))') --dist loadfile --no-loadscope-reorder

check: .venv/ready  ## Lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

lab: .venv/ready  ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=notebooks --config=notebooks/lab/config.py

torture: .venv/ready  ## Long versions of the tests of storage, many targets and properties
	$(BIN)/python tests/torture/run.py

soak: .venv/ready  ## Ten minutes of repeated drains: memory, threads and sockets must not grow
	$(BIN)/python tests/benchmarks/soak.py

bench: .venv/ready  ## Measure speed and memory as ratios, with an A/A control
	$(BIN)/python tests/benchmarks/bench_drain.py
	$(BIN)/python tests/benchmarks/bench_memory.py
	$(BIN)/python tests/benchmarks/bench_storage.py
	$(BIN)/python tests/benchmarks/bench_history.py
	$(BIN)/python tests/benchmarks/bench_nights.py
	$(BIN)/python tests/benchmarks/bench_fanout.py
	$(BIN)/python tests/benchmarks/bench_usage.py
	$(BIN)/python tests/benchmarks/bench_import.py

notebooks: .venv/ready  ## Run the notebooks, keep their outputs, and update the gallery
	$(BIN)/python notebooks/run.py

gallery: .venv/ready  ## Extract the README's charts from the notebooks
	$(BIN)/python notebooks/run.py gallery

catalogue: .venv/ready  ## Generate the sandbox's catalogue and the data dictionary
	$(BIN)/python data/make_catalogue.py
	$(BIN)/python data/make_columns.py

lock: .venv/ready  ## Resolve requirements.lock again, with the newest versions
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--all-extras --group dev pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --no-annotate \
		--group spark --output-file requirements-spark.lock

clean:  ## Remove everything the other targets created
	rm -rf .venv appstream-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

# uv, taken from the lock with its hash, installs the rest in seconds; the project itself is editable.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv || { echo "Python cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)"; exit 1; }
	@awk '/^uv==/ {found = 1} found {print} found && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r requirements.lock || { \
		echo "uv could not install; pip, which knows this machine's index settings, tries next"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock; }
	$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
