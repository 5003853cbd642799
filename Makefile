# Everything a user or CI runs. Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
export KPI_HOME ?= .kpi
export DAGSTER_HOME ?= $(CURDIR)
# Dagster's `asset materialize` begins with a warning ("Function ... is superseded") whoever calls it.
export PYTHONWARNINGS ?= ignore:Function
BIN := .venv/bin
INSTALLED := .venv/installed
# The certificates that the system trusts, as pip does: behind a company's proxy there are no others.
export UV_SYSTEM_CERTS ?= true

.PHONY: help demo demo-s3 test image soak ui check bench definitions questions lock clean clean-data

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## a small world of studios, materialised through Dagster
	$(BIN)/kpi demo

demo-s3: $(INSTALLED) ## the same on a real S3 server
	$(BIN)/kpi demo --s3

test: $(INSTALLED) ## every test
	@# Three, where two cores are common: a quarter of the tests' time they wait for servers and browsers.
	$(BIN)/pytest -n 3 --dist loadgroup

image: $(INSTALLED) ## build docker/Dockerfile without Docker and try compose.yaml's commands in it, as root
	docker/try-image.sh

soak: $(INSTALLED) ## run the month of faults, then hunt for violations of the order law until stopped; finds are saved as cases
	KPI_LAWS=soak $(BIN)/pytest kpi_platform_tests/alerts/test_month_of_faults.py --timeout 0
	KPI_LAWS=soak $(BIN)/pytest kpi_platform_tests/kpis/test_any_order.py -k broken --timeout 0
	KPI_LAWS=soak $(BIN)/pytest kpi_platform_tests/laws/test_order_law.py -k any_moves --timeout 0

ui: $(INSTALLED) ## Dagster's UI and daemon on the current settings
	mkdir -p $(KPI_HOME)
	@# After the demo, and with no other sources named anywhere, the demo's.
	if [ -z "$$KPI_SOURCES" ] && [ -f "$(KPI_HOME)/world/sources.yaml" ] \
		&& ! grep -qs '^ *\(export \)\?KPI_SOURCES=' "$${KPI_ENV_FILE:-.env}"; then \
		export KPI_SOURCES="$(KPI_HOME)/world/sources.yaml"; echo "sources: $$KPI_SOURCES"; fi; \
	env -u DAGSTER_MODULE_NAME $(BIN)/dagster dev --workspace workspace.yaml --port 3000

check: $(INSTALLED) ## lint, types, import rules, definitions, dbt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dg check defs
	$(BIN)/dbt parse --quiet --project-dir dbt --profiles-dir dbt

bench: $(INSTALLED) ## the benchmarks with their peers, as ratios
	$(BIN)/python -m bench

definitions: $(INSTALLED) ## write the seeds and the page of KPI definitions anew
	$(BIN)/python -m kpi_platform.kpis.dbt.definition_files

questions: $(INSTALLED) ## write the page of the twelve questions anew, from the demo's tables
	$(BIN)/python -m kpi_platform.kpis.question_page

lock: $(INSTALLED) ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-strip-extras --no-header --quiet --output-file requirements.lock

clean: ## remove what tests and tools left behind; data in KPI_HOME stay
	rm -rf dbt/target dbt/logs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

clean-data: ## remove landing, lake, database and Dagster's history in KPI_HOME, after asking
	@printf 'Remove %s: landing, lake, database, history? Type yes: ' "$(KPI_HOME)"; \
	read -r answer; if [ "$$answer" = yes ]; then rm -rf -- "$(KPI_HOME)"; \
	else echo 'nothing removed'; exit 1; fi
