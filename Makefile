# The demonstration runs in .venv-app, which has no torch, all else in .venv; the first target that needs one makes it.
# Only Python ≥ 3.11 and make are expected.
PYTHON ?= python3
BIN := .venv/bin
PIP := python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint types docs wheel clean

demo: .venv-app/made  ## film a street, learn it, find the odd frames, write the report
	.venv-app/bin/oddframe demo --out demo

test: .venv/dev lint types  ## lint, types, tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

.venv-app/made: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-app
	.venv-app/bin/$(PIP) -e .
	@touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/$(PIP) -e ".[dev]"
	@touch $@

docs: .venv/dev  ## the site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -q

wheel: .venv/dev  ## build the wheel, install it without the sources and without torch, run a small demonstration from it
	rm -rf dist build
	$(BIN)/python -m build --wheel --outdir dist . > /dev/null
	$(PYTHON) -m venv build/venv
	build/venv/bin/$(PIP) dist/*.whl
	! build/venv/bin/python -c "import torch" 2> /dev/null
	cd build && venv/bin/oddframe demo --out demo --seconds 8 --train 3 --test 1 > /dev/null

clean:
	rm -rf .venv .venv-app demo build dist site
