.PHONY: help install up test test-containers check format image settings requirements clean check-kubernetes manifests

settings = .venv/bin/python -m services.chassis.settings_docs docs/settings.md \
	$(foreach service,intake matching notifications audit,services.$(service).settings:Settings)

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: ## Set up .venv; does nothing when nothing changed
	@scripts/install

up: install ## The whole chain on this machine, until Ctrl-C
	@.venv/bin/hulpketen up

test: install ## All tests but those with containers; nine minutes on two cores
	@.venv/bin/pytest -n 2 --dist loadfile

test-containers: install ## The tests on Apache Kafka and MongoDB in containers, and on Keycloak; skipped where there is none
	@.venv/bin/pytest -n 2 --dist loadfile --infrastructure containers \
		tests/containers tests/keycloak tests/integration tests/pipeline tests/e2e

check: install ## Style, types, boundaries between packages, generated files
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/hulpketen contracts export --check
	.venv/bin/hulpketen contracts check
	$(settings) --check
	.venv/bin/python -m deploy.kubernetes.generated --check
	.venv/bin/pytest -q tests/kubernetes

check-kubernetes: install ## The manifests for Kubernetes, with all tools and schemas (needs Go, Maven and Java)
	@scripts/kubernetes-tools
	@REQUIRE_KUBERNETES=1 .venv/bin/pytest -q tests/kubernetes

format: install ## Put the code in the one layout
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

image: ## Build the image of all services, hulpketen:local
	docker build --build-arg REVISION=$$(git rev-parse HEAD) --tag hulpketen:local $(BUILD_FLAGS) .

settings: install ## Write docs/settings.md anew
	$(settings)

manifests: install ## Write the manifests that follow from other files anew
	.venv/bin/python -m deploy.kubernetes.generated

pin = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-emit-package hulpketen-contracts

requirements: ## Pin anew what pyproject.toml asks for (needs uv)
	$(pin) --group dev --output-file requirements.txt pyproject.toml
	$(pin) --constraint requirements.txt --output-file deploy/docker/requirements.txt pyproject.toml
	$(pin) --group sbom --output-file deploy/docker/sbom-requirements.txt

clean: ## Remove what was installed and generated; the data folder stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
