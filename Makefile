# make demo and make test do their own set-up: what is missing of the Debian packages is installed first
# (with sudo where not root), Python packages go to .build/venv. Everything else is SwiftPM.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: demo test build bench simulation fuzz figures format lint check-scripts clean
.PHONY: build-packages test-packages security-check deb systemd-check

# OpenBLAS would start a thread per core as soon as it is loaded; our matrices are small.
export OPENBLAS_NUM_THREADS := 1
export DEBIAN_FRONTEND := noninteractive

BUILD_PACKAGES := librdkafka-dev libsimdjson-dev liblapacke-dev libopenblas-dev libnlopt-dev \
	pkg-config
# To make the Debian package, and to boot a Debian that has it.
PACKAGE_PACKAGES := dpkg-dev lintian python3 systemd-container debootstrap
TEST_PACKAGES := $(BUILD_PACKAGES) kcat prometheus python3-venv

SOURCES := Package.swift Sources Tests
SWIFT_BUILD := swift build --explicit-target-dependency-import-check error
# Optimised, and yet with all that tests look into.
SWIFT_LONG_TEST := swift test -c release -Xswiftc -enable-testing --scratch-path .build-testing
SEGMENTD := .build/release/segmentd
SEGMENTD_DEBUG := .build/debug/segmentd
VENV := .build/venv
PYTHON := $(VENV)/bin/python
REFERENCE := ../shared/reference
FIGURES := .build/figures
DEMO_ANSWERS := .build/demo

# Embedded broker, simulated shop and daemon; DEMO="--seconds 20 --customers 2000" and the like.
demo: build
	$(SEGMENTD) demo $(DEMO)

# What every commit passes. Needs no network once everything is installed.
test: test-packages lint
	$(SWIFT_BUILD) --build-tests
	# First those that wait for answers within seconds: the rest keeps every core busy for minutes.
	swift test --skip-build --filter AdminServerTests
	swift test --skip-build --skip AdminServerTests
	$(MAKE) check-scripts

build: build-packages
	$(SWIFT_BUILD) -c release --product segmentd

bench: build-packages
	swift run -c release Benchmarks $(BENCH)

# What make test does with 200 runs: SIM_FIRST=1 and so on for other seeds, SIM_SEED for one alone.
simulation: test-packages
	SIM_RUNS=$${SIM_RUNS:-20000} $(SWIFT_LONG_TEST) --filter everyRunKeepsEveryPromise

# What make test does with 20,000 inputs; FUZZ_SEED for other ones.
fuzz: test-packages
	FUZZ_INPUTS=$${FUZZ_INPUTS:-50000000} $(SWIFT_LONG_TEST) --filter FuzzTests

# The Debian package, .build/segmentd_*.deb, for the Debian that it is built on; what it needs there is
# read from the binary. The runtime of Swift is inside.
deb: build-packages
	@$(call install,$(PACKAGE_PACKAGES))
	package=$$(systemd/debian/build.sh) && lintian --allow-root --fail-on error "$$package"

# That package under a real systemd, on a genuine Kafka: KAFKA_BOOTSTRAP=localhost:9092. Needs root.
systemd-check: deb $(VENV)/ready
	@$(call install,$(PACKAGE_PACKAGES))
	$(PYTHON) Tests/Scripts/systemd_check.py --bootstrap "$${KAFKA_BOOTSTRAP:?names a Kafka}" \
		--deb "$$(ls -t .build/segmentd_*.deb | head -1)"

format:
	swift format -i -r $(SOURCES)

lint:
	swift format lint --strict -r $(SOURCES)

# The scripts of the project test themselves by the examples in their comments; then the schema of the
# configuration is held against the program, and a demo is read while it runs, and what it answered is
# held against schemas, alert rules and the dashboard.
check-scripts: $(VENV)/ready
	for script in Tests/Scripts/*.py systemd/debian/*.py; do $(PYTHON) -m doctest "$$script"; done
	$(SWIFT_BUILD) --product segmentd
	$(PYTHON) Tests/Scripts/check_config_schema.py $(SEGMENTD_DEBUG)
	$(PYTHON) Tests/Scripts/check_demo.py $(SEGMENTD_DEBUG) --keep $(DEMO_ANSWERS)
	$(PYTHON) Tests/Scripts/check_monitoring.py --metrics $(DEMO_ANSWERS)/metrics.txt
	$(PYTHON) Tests/Scripts/check_schemas.py $(SEGMENTD_DEBUG) --demo $(DEMO_ANSWERS)

# TLS, passwords and access rules on a Kafka of its own: KAFKA_HOME=/opt/kafka make security-check; Java 17
# and openssl are needed.
security-check: build $(VENV)/ready
	$(PYTHON) Tests/Scripts/security_check.py --segmentd $(SEGMENTD) \
		--kafka-home "$${KAFKA_HOME:?names an unpacked Kafka distribution}" $(SECURITY)

# How good segments and risks are: the batch reference where it is to be had, and a simulated shop whose
# truth is known.
figures: build $(VENV)/ready
	mkdir -p $(FIGURES)
	if [[ -d $(REFERENCE) ]]; then \
		$(SEGMENTD) replay --config config/smartcart-notebook.yaml --format csv \
			--input $(REFERENCE)/smartcart_customers.csv --as-of 2014-06-29 \
			--model-out $(FIGURES)/smartcart.json --assignments-out $(FIGURES)/smartcart.csv; \
		$(PYTHON) Tests/Scripts/check_smartcart.py --model $(FIGURES)/smartcart.json \
			--assignments $(FIGURES)/smartcart.csv --reference $(REFERENCE); \
		$(PYTHON) Tests/Scripts/check_sweep.py --model $(FIGURES)/smartcart.json \
			--reference $(REFERENCE); \
		$(PYTHON) Tests/Scripts/check_personas.py --config config/smartcart-notebook.yaml \
			--model $(FIGURES)/smartcart.json; \
		$(SEGMENTD) replay --config config/segmentd.yaml --format csv \
			--input $(REFERENCE)/smartcart_customers.csv --as-of 2014-06-29 \
			--model-out $(FIGURES)/smartcart-live.json; \
		$(PYTHON) Tests/Scripts/check_personas.py --config config/segmentd.yaml \
			--model $(FIGURES)/smartcart-live.json; \
		$(PYTHON) Tests/Scripts/check_smartcart_orders.py --segmentd $(SEGMENTD) \
			--reference $(REFERENCE); \
	else \
		echo "figures: no $(REFERENCE), the comparison with the batch result is skipped" >&2; \
	fi
	$(SEGMENTD) simulate --customers 10000 --events 500000 --seed 1 --truth $(FIGURES)/truth.csv \
		> $(FIGURES)/events.ndjson
	$(SEGMENTD) replay --config config/segmentd.yaml --input $(FIGURES)/events.ndjson \
		--model-out $(FIGURES)/shop.json --assignments-out $(FIGURES)/assignments.csv
	$(PYTHON) Tests/Scripts/evaluate_truth.py --truth $(FIGURES)/truth.csv \
		--assignments $(FIGURES)/assignments.csv
	$(PYTHON) Tests/Scripts/check_personas.py --config config/segmentd.yaml \
		--model $(FIGURES)/shop.json
	$(PYTHON) Tests/Scripts/check_refit_stability.py --segmentd $(SEGMENTD)
	$(PYTHON) Tests/Scripts/check_statistics.py --segmentd $(SEGMENTD) --cases 1000

clean:
	swift package clean
	rm -rf $(VENV) $(FIGURES) $(DEMO_ANSWERS)

$(VENV)/ready: Tests/Scripts/requirements.txt | test-packages
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

build-packages:
	@$(call install,$(BUILD_PACKAGES))

test-packages:
	@$(call install,$(TEST_PACKAGES))

# Installs those of the packages that are missing; touches neither network nor sudo when none is.
define install
command -v swift > /dev/null || { echo "Swift 6.2 or newer is needed: https://swift.org/install" >&2; exit 1; }; \
missing=(); \
for package in $(1); do \
	[[ "$$(dpkg-query -W -f='$${db:Status-Status}' "$$package" 2> /dev/null)" == installed ]] \
		|| missing+=("$$package"); \
done; \
if (( $${#missing[@]} > 0 )); then \
	echo "installing $${missing[*]}" >&2; \
	as_root=(); (( $$(id -u) == 0 )) || as_root=(sudo -E); \
	"$${as_root[@]}" apt-get update -q >&2; \
	"$${as_root[@]}" apt-get install -q -y --no-install-recommends "$${missing[@]}" >&2; \
fi
endef
