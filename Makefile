# Two commands for a machine with only Python (3.10 or newer) and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OLD_IGNITE := $(VENV)/ignite-0.4.11
WHEEL := build/wheel-test
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test lint unit slow docs old-ignite wheel clean

demo: $(VENV)/.demo
	$(RUN) -m monai_auxops demo

test: lint unit slow docs old-ignite wheel

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

unit: $(VENV)/.dev
	$(RUN) -m pytest --numprocesses 2 --dist worksteal -m "not slow" --cov --cov-report term

# Tests of more than a few seconds each: whole trainings, fuzzing, large growth.
slow: $(VENV)/.dev
	$(RUN) -m pytest --numprocesses 2 --dist worksteal -m slow

# The site, with warnings as errors, in build/site.
docs: $(VENV)/.dev
	$(VENV)/bin/mkdocs build --quiet --strict

# MONAI's minimum is Ignite 0.4.11: the engine tests run on it, too.
old-ignite: $(VENV)/.dev $(OLD_IGNITE)
	PYTHONPATH=$(OLD_IGNITE) $(RUN) -c "import ignite; assert ignite.__version__ == '0.4.11'"
	PYTHONPATH=$(OLD_IGNITE) $(RUN) -m pytest tests/engines

# The wheel and the sdist are built, and the tests pass on what the wheel installs.
wheel: $(VENV)/.dev
	rm -rf dist $(WHEEL)
	$(RUN) -m build --quiet --outdir dist .
	mkdir -p $(WHEEL)
	$(PIP) --no-deps --target $(WHEEL)/site dist/*.whl
	cp -r tests $(WHEEL)/tests
	cd $(WHEEL) && PYTHONPATH=site:. $(CURDIR)/$(RUN) -c "import monai_auxops as m; assert 'wheel-test/site' in m.__file__, m.__file__"
	cd $(WHEEL) && PYTHONPATH=site:. $(CURDIR)/$(RUN) -m pytest -c $(CURDIR)/pyproject.toml --rootdir . --override-ini pythonpath= \
	    tests/ops tests/metrics tests/engines

# torch first: the version is pinned, and the packages after it take what is there.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml constraints.txt
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml constraints.txt
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.demo

$(OLD_IGNITE): | $(VENV)/.dev
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target $@ pytorch-ignite==0.4.11

clean:
	rm -rf $(VENV) build dist runs
