# Two commands matter: `make serve` and `make test`. Both set up `.venv` first if need be.
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup serve test check fuzz proto bench soak lock clean

help:
	@echo "make serve   set up if need be and start the server"
	@echo "make test    set up if need be and run all tests"
	@echo "make setup   set up .venv, with the tools of development"
	@echo "make check   lint, types, import rules, generated stubs"
	@echo "make fuzz    search for harmful inputs (EXAMPLES=2000 of each kind)"
	@echo "make proto   generate remuda/v1 from proto/"
	@echo "make bench   benchmark the engine"
	@echo "make soak    honest clients beside hostile ones (MINUTES=20)"
	@echo "make lock    resolve the requirements*.lock files again"
	@echo "make clean   remove .venv and everything generated (the models folder stays)"

setup: $(VENV)/.dev

serve: $(VENV)/.runtime
	@exec $(BIN)/remuda serve

test: $(VENV)/.dev
	@$(BIN)/pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	scripts/generate-stubs.sh --check

fuzz: $(VENV)/.dev
	FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/pytest tests/security/fuzz --timeout 86400

proto: $(VENV)/.dev
	scripts/generate-stubs.sh

bench: $(VENV)/.dev
	$(BIN)/python loadtests/bench.py $(or $(CASE),all) $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m loadtests.soak --minutes $(or $(MINUTES),20)

lock:
	scripts/lock.sh

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.runtime: requirements-build.lock requirements.lock pyproject.toml
	@scripts/setup.sh requirements.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements-dev.lock
	@scripts/setup.sh requirements-dev.lock
	@touch $@
