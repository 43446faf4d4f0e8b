# `make demo` and `make test` set up what is missing and then do what they say; the rest are their parts.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CROSS_CONFIG := cross.toml

.PHONY: help setup setup-test build demo test test-fast test-all deb apt-repository image install uninstall bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what building and running needs (apt, TensorFlow Lite, models)
	@scripts/setup

setup-test: ## Install what the tests need besides (Mosquitto, QEMU, cargo-deny, …)
	@scripts/setup --tests

demo: setup ## See faces in a picture stream become summaries that an MQTT subscriber receives
	@scripts/demo

test: setup-test ## Everything: lint, policy, shipped files, unit, property, MQTT and camera tests
	@scripts/test all

test-fast: setup-test ## The same without the virtual camera in QEMU and without the Python references
	@scripts/test fast

test-all: test deb ## All that and the Debian packages: built, and tried in fresh Debian 12 and 13 (as root)
	@scripts/test-package
	@scripts/test-image

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

bench: setup ## Run the benchmarks
	cargo bench --locked

clean: ## Remove what was built
	cargo clean
