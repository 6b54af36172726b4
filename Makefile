# Each target installs what it needs into .venv by itself; python3 (3.11 or newer) and make are all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
ARGS ?=
SEEDS ?= 10000

.PHONY: run test simulate lint bench bench-autoscaling demo-report ray-up ray-down clean

run: $(STAMP)  ## play the storm's day; ARGS="workload.day=2013-07-10 summary=out.json" overrides
	@$(BIN)/raybeam run $(ARGS)

test: $(STAMP)  ## all rings of tests, the conformance scenarios and real Ray included
	$(BIN)/pytest -m "not ray" -q
	$(BIN)/python tests/conformance/run.py tests/conformance/data/*.jsonl
	$(BIN)/pytest -m ray -v

simulate: $(STAMP)  ## whole systems under drawn faults: SEEDS=10000 (a count), SEEDS=17,18, SEEDS=500-600
	@$(BIN)/python -m raybeam.cluster.simulation --seeds $(SEEDS) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH_STAMP)  ## ratios against named peers, and goals of our own
	$(BIN)/python -m benchmarks $(ARGS)

bench-autoscaling: $(BENCH_STAMP)  ## scaling policies on many traces; ARGS="--quick" plays one seed, "--json FILE" keeps the rows
	@$(BIN)/python -m benchmarks.autoscaling $(ARGS)

demo-report: $(STAMP)  ## a short form of the run, and its report at build/report.html
	@$(BIN)/raybeam run workload.until_min=480 workload.speedup=2880 report=build/report.html $(ARGS)

ray-up: $(STAMP)  ## a head and autoscaled workers on this machine, by Ray's cluster launcher; see docs/ray-up.md
	@$(BIN)/ray up configs/ray/local.yaml -y --no-config-cache

ray-down: $(STAMP)  ## the end of that cluster
	@$(BIN)/ray down configs/ray/local.yaml -y

clean:
	rm -rf $(VENV) build dist outputs multirun .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMP): pyproject.toml
	@echo "installing into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raybeam needs Python 3.11 or newer")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[report]" --group dev
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[report,bench]"
	@touch $@
