# Everything runs in .venv, which the first target that needs it makes. Only Python ≥ 3.11 and make are expected.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types docs wheel clean

demo: .venv/app  ## film a street, learn it, find the odd frames, write the report
	$(BIN)/oddframe demo --out demo

test: .venv/dev lint types  ## lint, types, tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

.venv/app: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/app
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

docs: .venv/dev  ## the site, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict -q

wheel: .venv/dev  ## build the wheel, install it without the sources and without torch, run the demonstration from it
	rm -rf dist build/wheel
	$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt dist/*.whl
	cd build/wheel && bin/oddframe demo --out demo

clean:
	rm -rf .venv demo build dist site
