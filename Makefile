# Each target sets up what it needs in a virtual environment. `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_ARGS ?= -n 4 --dist loadfile
FUZZ_SECONDS ?= 600
FUZZ_JOBS ?= 1
SANITIZE_SECONDS ?= 60
SOAK_SECONDS ?= 1800
BENCH_ROUNDS ?= 5
BENCH_ARGS ?=
GSS ?=
TOOLS = $(VENV)/.tools$(if $(GSS),-gss)

.PHONY: help demo test check pytest gen fuzz soak sanitize bench docs clean

help:
	@echo "make demo    generate, serve, register, find and call: the whole story, printed"
	@echo "make test    all checks and the test suite"
	@echo "make check   only the checks: generated files, ruff, mypy, pyright"
	@echo "make pytest  only the test suite (PYTEST_ARGS=...; GSS=1: with gssapi, which needs"
	@echo "             libkrb5-dev and gcc)"
	@echo "make gen     compile every .x file of the project"
	@echo "make fuzz    mutated .x files for the compiler, then random types, values and bytes"
	@echo "             for both codecs, then calls; then whatever bytes from outside may reach,"
	@echo "             under atheris, FUZZ_JOBS=$(FUZZ_JOBS) at once (FUZZ_SECONDS=$(FUZZ_SECONDS) each)"
	@echo "make soak    servers of all kinds, called and ill-treated, and what is left of it"
	@echo "             (SOAK_SECONDS=$(SOAK_SECONDS))"
	@echo "make sanitize  the native code under AddressSanitizer, UBSan and a debug Python"
	@echo "             (SANITIZE_SECONDS=$(SANITIZE_SECONDS) for each fuzz target)"
	@echo "make bench   everything measured against its peers (BENCH_ROUNDS=$(BENCH_ROUNDS) BENCH_ARGS=...)"
	@echo "make docs    build the documentation into site/"
	@echo "make clean   remove what the others made"
	@echo "PYTHON=$(PYTHON) VENV=$(VENV)"

demo: $(VENV)/.installed
	$(BIN)/python -m examples.demo

test: check pytest

check: $(TOOLS)
	$(BIN)/rpcserver gen --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

pytest: $(TOOLS)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

gen: $(VENV)/.installed
	$(BIN)/rpcserver gen

fuzz: $(VENV)/.installed
	$(BIN)/python -m fuzz.compiler --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m fuzz.codec --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m fuzz.calls --seconds $(FUZZ_SECONDS)
	PYTHON=$(PYTHON) FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_JOBS=$(FUZZ_JOBS) .ci/fuzz

soak: $(TOOLS)
	RPCSERVER_SOAK=$(SOAK_SECONDS) $(BIN)/python -m pytest -s tests/soak

sanitize:
	PYTHON=$(PYTHON) SANITIZE_SECONDS=$(SANITIZE_SECONDS) .ci/sanitize

bench: $(VENV)/.bench
	BENCH_ROUNDS=$(BENCH_ROUNDS) $(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: $(TOOLS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# pip 25.1 was the first to read dependency groups.
$(VENV)/.installed: pyproject.toml hatch_build.py $(wildcard rpcserver/xdr/csrc/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(TOOLS): $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	$(if $(GSS),$(BIN)/python -m pip install --quiet --group gss)
	touch $@

$(VENV)/.bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group bench
	touch $@

clean:
	$(MAKE) --silent -C benchmarks/c clean
	rm -rf $(VENV) site build dist examples/c/build .mypy_cache .pytest_cache .ruff_cache .hypothesis
