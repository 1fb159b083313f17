# Everything that a person or CI runs here. "make" alone lists the targets.
PYTHON ?= python3
# The CUDA runtime where an NVIDIA GPU answers, else the CPU one; never both: they install the same module.
RUNTIME ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
# An extra package index for torch, for instance PyTorch's CPU index: plain torch on PyPI brings CUDA along.
TORCH_INDEX ?=
PIP := -q --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
CONTAINER_BUILD ?= docker build
VENV := .venv
BIN := $(VENV)/bin
PROTO_VENV := .venv-proto
OLDEST_VENV := .venv-oldest

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-full lint types format proto bench bench-rivals bench-train bench-precision gpu-check image image-trainer sbom test-deploy clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## make .venv with locked versions (CUDA runtime if there is an NVIDIA GPU, else CPU)

demo: $(VENV)/.ready ## train on real digits, export with proof, serve, classify, measure
	@$(BIN)/conveyor demo

test: $(VENV)/.ready $(PROTO_VENV)/.ready $(OLDEST_VENV)/.ready ## run the tests, each behaviour with small counts
	@$(BIN)/python -m pytest

test-full: $(VENV)/.ready $(PROTO_VENV)/.ready $(OLDEST_VENV)/.ready ## run the tests with the full counts of tests/counts.py
	@CONVEYOR_TEST_COUNTS=full $(BIN)/python -m pytest --timeout 3600

lint: $(VENV)/.ready ## check style with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.ready ## check types with mypy, strictly
	@$(BIN)/mypy

format: $(VENV)/.ready ## let ruff format and mend what it can
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

proto: $(PROTO_VENV)/.ready ## regenerate the stubs in proto/ from the .proto files
	@PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" proto/generate.sh
	@PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" PYTHON="$(CURDIR)/$(PROTO_VENV)/bin/python" proto/inference/generate.sh
	@PATH="$(CURDIR)/$(PROTO_VENV)/bin:$$PATH" PYTHON="$(CURDIR)/$(PROTO_VENV)/bin/python" clients/conveyor_bench/generate.sh

bench: $(VENV)/.ready ## measure beside bare gRPC echoes and ONNX Runtime on this machine (several minutes)
	@$(BIN)/python -m conveyor_bench.compare

bench-rivals: $(VENV)/.ready ## measure beside MLServer and PyTriton, each installed into an environment of its own
	@$(BIN)/python -m conveyor_bench.rivals

bench-train: $(VENV)/.ready ## measure trained images/s beside a bare PyTorch loop
	@$(BIN)/python trainer/benchmarks/throughput.py

bench-precision: $(VENV)/.ready ## measure where int8 pays and where it does not
	@$(BIN)/python exporter/benchmarks/precision.py

gpu-check: $(VENV)/.ready ## with an NVIDIA GPU: check CUDA, its answers, speed, memory limit, Envoy; else say so
	@$(BIN)/python server/benchmarks/gpu_check.py

image: ## build the CPU server's container image
	@$(CONTAINER_BUILD) -f deploy/server.Dockerfile -t conveyor-server .

image-trainer: ## build the image that trains and exports
	@$(CONTAINER_BUILD) -f deploy/trainer.Dockerfile -t conveyor-trainer --build-arg TORCH_INDEX=$(TORCH_INDEX) .

sbom: image ## write conveyor.cdx.json, the bill of materials of the server's image
	@$(CONTAINER_BUILD) -f deploy/bill.Dockerfile --output type=local,dest=. .

test-deploy: $(VENV)/.ready ## build the images and run them as operators do (installs podman and others as root on Debian)
	@tests/deploy/prepare.sh
	@CONVEYOR_TEST_CONTAINERS=1 $(BIN)/python -m pytest $(wildcard $(addprefix tests/deploy/test_,containers.py secured.py kube.py images.py))

clean: ## remove the environments and what the demo left behind
	rm -rf $(VENV) $(PROTO_VENV) $(OLDEST_VENV) .venv-rivals demo

$(VENV)/.ready: pyproject.toml constraints.txt Makefile
	@echo "setting up $(VENV) with the $(RUNTIME) runtime (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Conveyor needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install $(PIP) 'pip==26.3'
	@$(BIN)/pip install $(PIP) -e '.[train,export,server,tracing,envoy,bench,$(RUNTIME)]' --group dev -c constraints.txt
	@touch $@

$(PROTO_VENV)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(PROTO_VENV)
	@$(PROTO_VENV)/bin/pip install $(PIP) 'pip==26.3'
	@$(PROTO_VENV)/bin/pip install $(PIP) --group proto
	@touch $@

# The oldest grpcio and protobuf that the client claims; some of its tests run there.
$(OLDEST_VENV)/.ready: pyproject.toml
	@$(PYTHON) -m venv $(OLDEST_VENV)
	@$(OLDEST_VENV)/bin/pip install $(PIP) grpcio==1.71.2 protobuf==5.29.0 pytest pytest-timeout
	@touch $@
