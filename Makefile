# The one way in. `make demo` runs the product, `make test` proves it; the rest is for people who change it.
PYTHON ?= python3
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
UV_COMPILE := $(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --override requirements/without-torch.txt

.DEFAULT_GOAL := help
.PHONY: help demo test slow quick check lint types imports gates rehearse faults unit bench bench-load docs screenshots lock image-smoke clean browser-deps

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: $(VENV)/$(if $(MODEL),diffusers,demo).stamp ## draw in a local Slack page, no account needed (PORT=3000, RELOAD=1, MODEL=FILE)
	@$(BIN)/imagine demo --port $(PORT) $(if $(RELOAD),--reload) $(if $(MODEL),--model "$(MODEL)")

test: $(VENV)/test.stamp browser-deps ## run the tests, all but the slow ones
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

slow: $(VENV)/test.stamp ## run the slow tests: zips, the template, trainings, what is killed at every call
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

quick: $(VENV)/test.stamp lint types imports unit ## lint, types, import contracts and unit tests, within a minute

check: $(VENV)/test.stamp lint types imports gates test slow ## everything that must pass before a change lands

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .

types: $(VENV)/test.stamp
	@$(BIN)/mypy --no-error-summary

imports: $(VENV)/test.stamp
	@$(BIN)/lint-imports --no-logo >/dev/null 2>&1 || $(BIN)/lint-imports --no-logo

gates: .venv-gates/gates.stamp node_modules/.package-lock.json ## look at serverless.yml as CloudFormation gets it: cfn-lint, checkov, IAM actions
	@.venv-gates/bin/python -m infra.template_gates

rehearse: $(VENV)/test.stamp .venv-rehearsal/rehearsal.stamp node_modules/.package-lock.json ## deploy the service on this machine and drive it (docs/rehearsal.md)
	@$(BIN)/python -m infra.rehearsal $(if $(WITHOUT),--without $(WITHOUT)) && $(BIN)/python -m pytest -q tests/rehearsal

faults: $(VENV)/test.stamp ## every fault between the packed functions and their peers (minutes; needs Python 3.13)
	@$(BIN)/python -m pytest -q tests/lambda_package/faults/test_faults.py tests/lambda_package/faults/every_fault.py

unit: $(VENV)/test.stamp
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/unit

bench: $(VENV)/test.stamp ## measure: accept path, delivery, sizes, and the quality of the demo model's pictures
	@$(BIN)/python -m tests.benchmarks

bench-load: $(VENV)/test.stamp .venv-rehearsal/rehearsal.stamp node_modules/.package-lock.json ## load on the service as deployed by make rehearse: acks, 200 commands (minutes)
	@$(BIN)/python -m tests.benchmarks rehearsed_acks rehearsed_outcomes

docs: $(VENV)/demo.stamp ## write the generated parts of the documents anew
	@$(BIN)/python -m infra.docs

screenshots: $(VENV)/test.stamp browser-deps ## take the documentation's pictures of the page anew
	@$(BIN)/python -m pytest -q tests/browser/test_demo.py --screenshots docs/images

browser-deps:
	@sh .ci/browser-deps

lock: ## write requirements/*.txt anew from requirements/*.in (needs uv)
	@$(BIN)/python -m pip install --quiet uv
	@$(UV_COMPILE) requirements/test.in -o requirements/test.txt
	@for part in accept bot cli container diffusers demo train; do \
		$(UV_COMPILE) -c requirements/test.txt requirements/$$part.in -o requirements/$$part.txt || exit 1; done
	@$(UV_COMPILE) requirements/gates.in -o requirements/gates.txt
	@$(UV_COMPILE) --python-version 3.13 requirements/rehearsal.in -o requirements/rehearsal.txt
	@$(UV_COMPILE) --python-version 3.13 requirements/lambda-runtime.in -o requirements/lambda-runtime.txt
	@for part in microburst k6; do $(UV_COMPILE) requirements/$$part.in -o requirements/$$part.txt || exit 1; done
	@$(UV_COMPILE) --no-universal --python-platform x86_64-manylinux_2_28 requirements/cuda.in -o requirements/cuda.txt

image-smoke: $(VENV)/test.stamp ## build the images on a Debian base and draw with them (root; installs buildah, debootstrap)
	@$(BIN)/python -m infra.image_smoke $(RECIPES)

clean: ## remove the environment and everything the demo wrote
	@rm -rf $(VENV) .venv-gates .venv-rehearsal node_modules var out build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; say make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml | $(VENV)/python.stamp
	@echo "Setting up the environment in $(VENV) (about a minute, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/diffusers.stamp: requirements/diffusers.txt requirements/torch.txt $(VENV)/demo.stamp
	@echo "Installing torch and diffusers in $(VENV) (a few minutes, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/diffusers.txt
	@sh .ci/install-torch $(BIN)/python
	@touch $@

$(VENV)/test.stamp: requirements/test.txt requirements/torch.txt $(VENV)/demo.stamp
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/test.txt
	@sh .ci/install-torch $(BIN)/python
	@touch $@

# not compiled: most of these files are never imported, and compiling them all takes longer than the gates
.venv-gates/gates.stamp: requirements/gates.txt
	@$(PYTHON) -m venv .venv-gates
	@.venv-gates/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements/gates.txt
	@touch $@

.venv-rehearsal/rehearsal.stamp: requirements/rehearsal.txt $(VENV)/demo.stamp
	@python=$$($(BIN)/python -m infra.rehearsal.interpreter $(PYTHON_OF_FUNCTIONS)) && $$python -m venv .venv-rehearsal
	@.venv-rehearsal/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/rehearsal.txt
	@touch $@

node_modules/.package-lock.json: package-lock.json
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
