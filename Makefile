# Each target sets up what it needs first (.ci/set-up): a fresh Debian or Ubuntu with Python 3.11+ will do.
# ARGS is handed on: `make lab ARGS=--nat`, `make test ARGS="-k exchange"`.

BIN := .venv/bin
export PATH := $(PATH):/usr/sbin:/sbin
unexport PYTHONDONTWRITEBYTECODE # else each of the processes that run tests compiles all of them

.PHONY: help lab test bench soak mutants captures image set-up clean

help:
	@echo "make lab     README's picture in network namespaces: a tunnel, traffic, what was seen on the wire"
	@echo "make test    linter, type checker and every test; the unit tests under the newest Python, too"
	@echo "make bench   speed and cost beside strongSwan's userspace ESP, a quarter of an hour (ARGS=--help)"
	@echo "make soak    a million simulated runs of whole machines (COUNT=1000000): some hours (ARGS=\"--start N\" goes on there)"
	@echo "make mutants mutation tests of the files where a wrong sign is a hole: do the tests notice? (ARGS=\"esp/packet/replay.py\")"
	@echo "make captures  other people's captures from Debian's source of wireshark (46 MB), decoded by us and by tshark"
	@echo "make image   the steps of deploy/container/Containerfile in an empty root, and a start there (installs buildah)"
	@echo "make clean   remove what the other targets made in this directory"

set-up:
	@.ci/set-up

lab: set-up
	@$(BIN)/ikepy lab $(ARGS)

# Tests wait more than they compute: three at a time keep two processors busy, a file in one process. They are
# compiled once, beside mypy, and the newest Python's environment is made.
JOBS ?= 3
test: set-up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(if $(ARGS),,{ .ci/set-up newest; $(BIN)/pytest --collect-only -q; } >/dev/null 2>&1 &) $(BIN)/mypy
	$(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)
	@$(if $(ARGS),,.ci/newest-python)

bench: set-up
	@$(BIN)/python -m benchmarks $(ARGS)

COUNT ?= 1000000
soak: set-up
	@$(BIN)/python -m tests.simulation --count $(COUNT) $(ARGS)

mutants: set-up
	@$(BIN)/pip install --quiet --editable '.[mutants]'
	@nice -n 10 $(BIN)/python -m tests.mutants $(ARGS)

captures: set-up
	@$(BIN)/python -m tests.captures $(ARGS)

image:
	@deploy/container/try

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
