# `make demo` and `make test` set up what is missing and then do what they say; the rest are their parts.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CROSS_CONFIG := cross.toml

.PHONY: help setup setup-test build demo test test-all test-fast test-ha test-fleet test-arm64 deb apt-repository image home-assistant-app install uninstall bench sbom reproduce clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what building and running needs (apt, TensorFlow Lite, models)
	@scripts/setup

setup-test: ## Install what the tests need besides (Mosquitto, QEMU, cargo-deny, …)
	@scripts/setup --tests

demo: setup ## See faces in a picture stream become summaries that an MQTT subscriber receives
	@scripts/demo

test: setup-test ## Everything: lint, policy, shipped files, unit, property, MQTT and camera tests
	@scripts/test all

test-ha: setup ## emotiond in a real Home Assistant (root; 2.5 GB the first time)
	@scripts/test-ha

test-fleet: setup ## A fleet in small: 1,000 devices, three RabbitMQ nodes, PostgreSQL, all of it killed under load (root)
	@scripts/test-fleet

test-arm64: deb ## The arm64 package on a whole arm64 machine: Debian 13 in QEMU with a virtual camera (as root)
	@scripts/test-arm64

test-fast: setup-test ## The same without the virtual camera in QEMU and without the Python references
	@scripts/test fast

test-all: test test-ha test-fleet deb ## `make test`, Home Assistant, a fleet, packages and confinement in fresh Debians, an arm64 machine (as root)
	@scripts/test-package
	@scripts/test-units
	@scripts/test-libc
	@scripts/test-image
	@scripts/test-arm64

build: setup ## Build the release binary
	cargo build --release --locked

deb: setup ## Build the Debian packages for amd64 and arm64 into target/packages
	@scripts/package

apt-repository: ## Make an apt repository of the packages, signed with your GnuPG key: KEY=you@example.org
	@scripts/apt-repository "$(KEY)"

image: ## Build the container image of the packages in target/packages (podman or buildah)
	@scripts/image

install: ## Install the release binary, library, models and unit (as root; DESTDIR is honoured)
	@scripts/install

uninstall: ## Remove what `make install` put there; PURGE=1: configuration, state and user too (as root; DESTDIR is honoured)
	@scripts/uninstall

home-assistant-app: build ## What Home Assistant OS builds its app from, in target/home-assistant-app
	@scripts/home-assistant-app

bench: setup ## Run the benchmarks
	cargo bench --locked

sbom: ## Write the list of all that the program is made of: CycloneDX, target/emotiond.cdx.json
	@scripts/sbom

reproduce: setup ## Build the release binary twice in different folders and compare them byte by byte
	@scripts/reproduce

clean: ## Remove what was built
	cargo clean
