# SPDX-License-Identifier: Apache-2.0

PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# The tests start some five hundred servers: each would compile all its modules anew, for a second or more.
unexport PYTHONDONTWRITEBYTECODE

# uv from PATH, or else from the package index, in a virtual environment of its own.
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
# The local cluster gets Go with it, where PATH has none.
export PATH := $(PATH):$(CURDIR)/.uv/bin

.PHONY: help
help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "cabgate needs Python >= 3.11, and $(PYTHON) is $$($(PYTHON) -V 2>&1): make PYTHON=python3.x ..."; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9

$(BIN)/.synced: uv.lock pyproject.toml | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --locked --extra portal --extra relay --python $(PYTHON)
	@touch $@

.PHONY: setup
setup: $(BIN)/.synced ## Make the virtual environment, as uv.lock says

.PHONY: binaries
binaries: setup ## Find or build kube-apiserver, etcd, kube-controller-manager and kubectl
	$(BIN)/python -m cabgate_devcluster binaries

.PHONY: helm
helm: setup ## Find or build Helm, which the tests of charts use
	$(BIN)/python -m cabgate_devcluster helm

.PHONY: promtool
promtool: setup ## Find or build promtool, which the tests of alerts use
	$(BIN)/python -m cabgate_devcluster promtool

.PHONY: flux-tools
flux-tools: setup ## Find or build Flux's kustomize-controller, which the tests of the Flux page use
	$(BIN)/python -m cabgate_devcluster kustomize-controller

.PHONY: gitops-tools
gitops-tools: flux-tools ## Find or build all that the tests of GitOps use: Argo CD, kustomize and Argo Rollouts, too
	$(BIN)/python -m cabgate_devcluster argocd
	$(BIN)/python -m cabgate_devcluster kustomize
	$(BIN)/python -m cabgate_devcluster rollouts-controller
	@command -v redis-server valkey-server > /dev/null \
		|| { echo "Argo CD needs redis-server or valkey-server on PATH: apt-get install redis-server"; exit 1; }

.PHONY: image-tools
image-tools: setup ## Find or build umoci, and download the base of the image where it is not kept
	$(BIN)/python -m cabgate_devcluster umoci
	$(BIN)/python tools/image.py base --if-missing

.PHONY: image-base
image-base: setup ## Download the base of the image anew, with Debian's newest fixes
	$(BIN)/python tools/image.py base

.PHONY: image
image: image-tools ## Make the image as an OCI archive and its SBOM, into dist/, without a daemon and without root
	$(BIN)/python tools/image.py build

.PHONY: chart
chart: helm ## Make the archive of the chart, into dist/
	"$$($(BIN)/python -m cabgate_devcluster helm)" package charts/cabgate --destination dist

.PHONY: wheel
wheel: setup ## Make the wheel and the source distribution, into dist/
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} $(UV) build --quiet --out-dir dist

.PHONY: dist
dist: image-tools helm ## Make all files of a release anew, into dist/, with their SHA-256 (URL=where they will be)
	rm -rf dist
	$(MAKE) wheel chart image
	for platform in linux/amd64 linux/arm64 darwin/arm64; do \
		UV=$(UV) $(BIN)/python tools/kubectl_cab.py build --platform $$platform \
			--python 3.11 --python 3.12 --python 3.13; \
	done
	$(if $(URL),$(BIN)/python tools/kubectl_cab.py krew --url $(URL))
	cd dist && sums=$$(sha256sum $$(find . -maxdepth 1 -type f -not -name '.*' -printf '%P\n' | sort)) \
		&& echo "$$sums" > SHA256SUMS

.PHONY: demo
demo: binaries ## See the whole product work on a real API server, in under a minute
	$(BIN)/python -m cabgate_demo --page dist/page.png

.PHONY: demo-picture
demo-picture: binaries ## Run the demo, and write docs/demo.svg (a part) and docs/demo.txt (all) of its output
	$(BIN)/python -m cabgate_demo --svg docs/demo.svg --page dist/page.png

.PHONY: bench
bench: binaries ## Measure what the gate adds to a rollout, into docs/benchmarks; under 15 minutes
	$(UV) sync --locked --extra portal --extra relay --group bench --python $(PYTHON)
	$(BIN)/python -m cabgate_bench gate

.PHONY: bench-bursts
bench-bursts: binaries ## Measure rollouts that come alone, in a stream and in a burst, beside writes; 15 minutes
	$(UV) sync --locked --extra portal --extra relay --group bench --python $(PYTHON)
	$(BIN)/python -m cabgate_bench bursts

.PHONY: bench-scale
bench-scale: binaries ## Measure the gate with 100,000 requests and the operator with 10,000 intents
	$(UV) sync --locked --extra portal --extra relay --group bench --python $(PYTHON)
	$(BIN)/python -m cabgate_bench scale

.PHONY: bench-portal
bench-portal: binaries ## Measure what the REST API takes beside direct calls, and the page with 10,000 requests; 15 minutes
	$(BIN)/python -m cabgate_bench.measure.page
	$(BIN)/python -m cabgate_bench.measure.portal

.PHONY: cluster
cluster: binaries helm ## Start a cluster with cabgate to play with (MODE=Audit, PORTAL=1), until Ctrl-C
	@exec $(BIN)/python -m cabgate_devcluster up --mode $(or $(MODE),Enforce) $(if $(PORTAL),--portal)

.PHONY: unit
unit: setup ## Run the quick tests that need no cluster, in random order, with few examples of each property
	$(BIN)/python -m pytest -q -n 3 --hypothesis-profile quick -m 'not slow' tests/unit

# Three workers, each with a control plane of its own and whole files; see docs/testing.md.
CLUSTER := -p no:randomly -n 3 --dist loadfile --no-loadscope-reorder -m 'not long'

# A trace doubles what an example costs: the properties get all of theirs in a run that is not traced.
# It reads the files that have some: to collect all unit tests takes each worker 16 s.
PROPERTIES = $$(grep -rl --include='test_*.py' hypothesis tests/unit)

.PHONY: test
test: binaries helm promtool ## Run all tests; the coverage is that of the tests without a cluster
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 3 --hypothesis-profile quick tests/unit tests/chart
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='core/*' --fail-under=95
	$(BIN)/python -m pytest -n 2 -m hypothesis $(PROPERTIES)
	$(BIN)/python -m pytest $(CLUSTER) --durations 20 tests/cluster

.PHONY: test-shuffled
test-shuffled: binaries helm promtool ## Run the cluster tests with their files in random order (SEED=7)
	$(BIN)/python -m pytest $(CLUSTER) --shuffle-files $(or $(SEED),$(shell date +%s)) tests/cluster

.PHONY: test-versions
test-versions: setup helm promtool ## Run the cluster tests on another minor version of Kubernetes (VERSION=1.37)
	@ls -d devcluster/tools/kubernetes-$(VERSION) > /dev/null 2>&1 \
		|| { echo "VERSION=$(VERSION): devcluster/tools has"; cd devcluster/tools; ls -d kubernetes-*; exit 1; }
	DEVCLUSTER_KUBERNETES=$(VERSION) $(BIN)/python -m cabgate_devcluster binaries
	DEVCLUSTER_KUBERNETES=$(VERSION) $(BIN)/python -m pytest $(CLUSTER) tests/cluster

# Of each feature's tests; what cannot run without etcd is marked.
KINE := $(addprefix tests/cluster/,gate break_glass reviews intents ledger faults/test_emergency.py)

.PHONY: test-kine
test-kine: binaries helm ## Run the gate's main cases with kine and SQLite in the place of etcd, as k3s has it
	$(BIN)/python -m cabgate_devcluster kine
	DEVCLUSTER_STORE=kine $(BIN)/python -m pytest $(CLUSTER) -m 'not long and not etcd' $(KINE)

.PHONY: durations
durations: binaries helm promtool ## Measure the cluster tests on a quiet machine, into tests/cluster/durations.json
	$(BIN)/python -m pytest $(CLUSTER) --record-durations tests/cluster

.PHONY: test-downgrade
test-downgrade: setup ## Have the code of earlier commits judge requests of now; it needs the history of the repository
	CABGATE_TEST_HISTORY=1 $(BIN)/python -m pytest -q -n 0 tests/unit/core/gate/test_older_releases.py

.PHONY: test-gitops
test-gitops: binaries helm gitops-tools ## Walk the pages of Flux and Argo CD with the real ones, each path; in 12 minutes
	$(BIN)/python -m pytest -p no:randomly -n 2 --dist loadgroup --durations 20 --record-gitops \
		tests/cluster/gitops/test_flux.py tests/cluster/gitops/test_argocd.py \
		tests/cluster/gitops/test_argo_rollouts.py

.PHONY: test-relay
test-relay: binaries helm ## Kill relays, database and SIEM under 10,000 records, and measure; 40 minutes
	$(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/ledger/test_siem_long.py tests/cluster/ledger/test_report_long.py
	RELAY_ROLLOUTS=200 $(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/ledger/test_relay_store.py -k slows
	NOTIFICATION_KILLS=100 $(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/notifications/test_notifications.py -k killed

.PHONY: test-races
test-races: binaries helm ## Have twenty people approve at once, and people approve and submit at once, 1,000 (RACES) times each; an hour
	RACES=$(or $(RACES),1000) $(BIN)/python -m pytest -p no:randomly -n 0 \
		tests/cluster/reviews/test_quorum.py tests/cluster/reviews/test_machines_and_requesters.py \
		-k 'of_twenty_who_approve or nobody_is_approver'

.PHONY: test-krew
test-krew: binaries helm ## Have the real krew install the zipapp of kubectl cab, and use it
	$(BIN)/python -m cabgate_devcluster krew
	UV=$(UV) $(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/command_line/test_krew.py

.PHONY: test-browser
test-browser: binaries ## Walk the page in the system's Chromium, tell the demo's story on it; write docs/page.png
	@command -v chromium > /dev/null || { echo "it needs chromium: apt-get install chromium"; exit 1; }
	BROWSER_PAYLOADS=$(or $(PAYLOADS),each) PAGE_PICTURE=docs/page.png $(BIN)/python -m pytest -p no:randomly -n 0 --durations 10 \
		tests/unit/portal/page tests/cluster/portal/test_page.py tests/cluster/portal/test_page_story.py

.PHONY: test-login
test-login: binaries ## Sign in to the page in the system's Chromium with the real Dex, which it builds
	$(BIN)/python -m cabgate_devcluster dex
	$(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/portal/test_dex.py

.PHONY: test-portal
test-portal: binaries helm ## Make up 10,000 (CASES) calls of the REST API, and kill it in 200 (KILLS) approvals
	PORTAL_CASES=$(or $(CASES),10000) PORTAL_KILLS=$(or $(KILLS),200) \
		$(BIN)/python -m pytest -p no:randomly -n 0 tests/cluster/portal

.PHONY: chaos
chaos: binaries ## Every fault once under load, and on until MINUTES (5) are over; print what was lost
	PYTHONPATH=tests $(BIN)/python -m chaos --minutes $(or $(MINUTES),5) $(if $(SEED),--seed $(SEED))

.PHONY: attack
attack: binaries ## Attack one namespace with `edit` there for MINUTES (5); print what another team felt of it
	PYTHONPATH=tests $(BIN)/python -m attack --minutes $(or $(MINUTES),5) --times $(or $(TIMES),1)

.PHONY: mutations
mutations: setup ## Try 100,000 (NUMBER) damaged and restated reports of tools (SEED=7)
	MUTATIONS=$(or $(NUMBER),100000) MUTATIONS_SEED=$(or $(SEED),7) \
		$(BIN)/python -m pytest -q -n 0 tests/unit/collect/formats/test_mutations.py

.PHONY: lint
lint: setup ## Check style, types, import rules, licence marks, words and known vulnerabilities
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/spdx.py
	$(BIN)/python tools/words.py
	$(BIN)/python tools/audit.py $(UV)

.PHONY: kubectl-cab
kubectl-cab: setup ## Make the zipapp of kubectl cab for this machine, into dist/
	UV=$(UV) $(BIN)/python tools/kubectl_cab.py build

.PHONY: format
format: setup ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: manifests
manifests: helm ## Write what is generated: crds/, the chart's README and golden files, pages of the docs
	$(BIN)/python tools/manifests.py
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/states.py
	$(BIN)/python tools/reports.py
	$(BIN)/python tools/calibration.py
	$(BIN)/python tools/reasons.py
	$(BIN)/python tools/configuration.py
	$(BIN)/python tools/openapi.py
	$(BIN)/python tools/commands.py
	$(BIN)/python tools/coverage.py
	$(BIN)/python tools/notifications.py
	$(BIN)/python tools/chart.py

.PHONY: golden
golden: setup ## Write the texts of denials in tests/golden anew
	$(BIN)/python tools/golden.py

.PHONY: clean
clean: ## Remove what was made here; the binaries of the local cluster stay in their cache
	rm -rf .venv .uv .devcluster .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
