# make run: environment, then every table of a study on the embedded default data. make test: environment, then all tests.
PYTHON ?= python3.11
CORES ?= all
# The study that `make run` makes; STUDIES=all makes every one.
STUDIES ?= [at]

.PHONY: env run test test-slurm format

env: .venv/.complete

# torch first: a file of that version on this machine is then taken as it is.
.venv/.complete: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed; set PYTHON to its path, e.g. make env PYTHON=/usr/bin/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check "$$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
	.venv/bin/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

run: env
	.venv/bin/snakemake --cores $(CORES) all --config "studies=$(STUDIES)"

test: env
	.venv/bin/python -m pytest

# As root on Debian, with slurm-wlm and munge installed: the study on a real SLURM, with faults.
test-slurm: env
	.venv/bin/python -m pytest -m slurm -rs tests/slurm

format: env
	.venv/bin/ruff format src scripts tests benchmarks
	.venv/bin/ruff check --fix src scripts tests benchmarks
	.venv/bin/snakefmt -l 120 Snakefile workflow
