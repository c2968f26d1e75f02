# `make` alone lists what there is. Every target does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check alerts chart e2e quality methods-table motion-table services services-down integration chaos load responsiveness simulate bench bench-gpu gpu images images-check schemas resolve format clean

BIN := .venv/bin
READY := .venv/.ready
OUT ?= demo_output
TOOLS := .tools
JOBS ?= 10000
RUNS ?= motion_runs
# In CI the integration tests are a step of their own; elsewhere they run where there are servers.
FAST_TESTS := tests/unit tests/conformance tests/contracts tests/architecture

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv and install everything into it
$(READY): pyproject.toml constraints.txt .ci/setup
	@.ci/setup .venv

demo: $(READY) ## the whole flow on a capture it makes itself, into OUT (demo_output)
	$(BIN)/talksplat demo --out $(OUT)

test: $(READY) ## the fast tests
	$(BIN)/pytest $(FAST_TESTS) --numprocesses auto --dist loadfile
	$(if $(CI),,$(BIN)/pytest tests/integration tests/gpu)

services: ## install and start PostgreSQL, RabbitMQ and Ceph for the integration tests
	@tests/services/services.sh up

services-down: ## stop them
	@tests/services/services.sh down

integration: $(READY) ## the tests on real servers; make services starts them
	$(BIN)/pytest tests/integration

check: $(READY) ## lint, format, types, import rules, and whether the environment is whole
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_environment.py

alerts: ## check the alert rules and run their tests; make services installs promtool
	promtool check rules deploy/helm/talksplat/rules/*.yaml
	promtool test rules tests/alerts/*.yaml

e2e: $(READY) $(TOOLS)/ready ## the whole flow on the demo's capture, with its quality bar
	$(BIN)/pytest tests/e2e

quality: $(READY) ## the quality bars on real footage in TALKSPLAT_TEST_DATA
	@test -n "$(TALKSPLAT_TEST_DATA)" || { echo "set TALKSPLAT_TEST_DATA to the folder of captures; see CONTRIBUTING.md" >&2; exit 2; }
	$(BIN)/pytest tests/quality

methods-table: $(READY) ## train and compare every avatar method on the footage in TALKSPLAT_TEST_DATA; hours
	@test -n "$(TALKSPLAT_TEST_DATA)" || { echo "set TALKSPLAT_TEST_DATA to the folder of captures; see CONTRIBUTING.md" >&2; exit 2; }
	$(BIN)/python -m tests.quality.methods_table $(METHODS)

motion-table: $(READY) ## each motion model on real captures, into RUNS; footage in TALKSPLAT_TEST_DATA
	@test -n "$(TALKSPLAT_TEST_DATA)" || { echo "set TALKSPLAT_TEST_DATA to the folder of captures; see CONTRIBUTING.md" >&2; exit 2; }
	$(BIN)/python -m tests.quality.motion_table --runs $(RUNS)

chart: $(READY) $(TOOLS)/ready ## lint, render, validate and judge the chart, compose.yaml and the Dockerfiles
	$(BIN)/pytest tests/chart

$(TOOLS)/ready: tests/services/chart_tools.sh tests/services/custom_resources.mjs
	@tests/services/chart_tools.sh $(TOOLS)

images: ## build all images with docker, or ENGINE=podman; TAG and PIP_CONF may be given
	@deploy/build_images.sh $(TAG)

images-check: $(READY) ## what each image installs, in clean environments one by one; ten minutes
	$(BIN)/python .ci/images.py build/images

chaos: $(READY) ## the kill test with JOBS (10000) jobs; make services starts what it needs
	TALKSPLAT_CHAOS_JOBS=$(JOBS) $(BIN)/pytest tests/integration/test_kill.py

load: $(READY) ## submissions per second, and full tables; on the servers of make services
	$(BIN)/python -m tests.load.submissions
	$(BIN)/python -m tests.load.table_size

responsiveness: $(READY) ## how fast talksplat serve answers while it trains; five minutes
	$(BIN)/python -m tests.load.responsiveness

simulate: $(READY) ## fair order, and a million jobs on a thousand workers, without servers
	$(BIN)/python -m tests.load.simulate
	$(BIN)/python -m tests.load.simulate_cluster

bench: $(READY) ## time the rasterizer and the renderer on this machine
	$(BIN)/talksplat bench

bench-gpu: $(READY) ## frames per second on the CUDA device, into bench_gpu.json; needs the gpu extra
	$(BIN)/python -m tests.gpu.throughput --out bench_gpu.json

gpu: $(READY) ## the CUDA rasterizer against the CPU's; needs a device and the gpu extra
	$(BIN)/pytest tests/gpu tests/conformance/test_rasterizers.py

schemas: $(READY) ## write the JSON Schemas of the artifact contracts again
	$(BIN)/python -m shared.contracts.json_schemas

resolve: $(READY) ## does [all,dev] resolve for Python 3.12 too? (downloads no torch)
	$(BIN)/python .ci/resolve.py 3.12

format: $(READY) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make made here
	rm -rf .venv $(TOOLS) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info $(OUT)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
