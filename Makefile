# Two commands, each sets everything up by itself: python 3.11 or 3.12, g++ and make are all they need.
#   make demo   trade 200,000 AAPL on a recorded day, through real processes and sockets
#   make test   the whole test suite

PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info < (3,13))' 2>/dev/null && command -v $$p && break; done)
UV := .uv/bin/uv
READY := .venv/ready

.PHONY: demo test lint

demo: $(READY)
	@.venv/bin/algoserver demo

test: $(READY)
	.venv/bin/python -m pytest -q

lint: $(READY)
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

$(UV):
	@test -n "$(PYTHON)" || { echo "algoserver needs Python 3.11 or 3.12; install one, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@command -v g++ >/dev/null || { echo "algoserver needs g++ to compile QuickFIX; install it (Debian: apt-get install g++)"; exit 1; }
	@$(PYTHON) -m venv .uv
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.8

$(READY): $(UV) pyproject.toml uv.lock
	@echo "Setting up .venv. The first time this compiles QuickFIX, which exists as source only: 3 to 10 minutes, once."
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --frozen --python $(PYTHON)
	@touch $(READY)
