# `make` alone prints what each target does. Everything honours CARGO_TARGET_DIR.
.DEFAULT_GOAL := help
.PHONY: help setup build images demo test check interop long bench order fuzz compose-test lint deny clean
# Cargo uses all processors by itself, and the count of passed tests is the last line.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

MODULES := -p gatehouse-auth -p gatehouse-rate-limit -p gatehouse-routing -p gatehouse-transform -p probe-filter
WASM := --release --target wasm32-wasip1

help: ## what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## bring what a build needs: the Wasm target, Envoy 1.40 (the other targets call this)
	@tools/setup.sh

build: setup ## build the Wasm modules that Envoy loads, stripped and checked, into dist/
	@# As a cdylib alone: built as an rlib too, a crate gets no link-time optimisation.
	@# A filter may have compiler settings of its own beside its manifest.
	@for module in $(MODULES:-p=); do own=filters/$${module#gatehouse-}/release.toml; \
	  cargo rustc $$([ ! -f $$own ] || echo --config $$own) --locked $(WASM) -p $$module --lib --crate-type cdylib || exit; done
	@cargo run --locked --quiet -p packager

images: build ## an OCI image of each filter for Istio and Envoy Gateway, into dist/images/
	@cargo run --locked --quiet -p packager -- images

demo: build ## a tour of the gateway on loopback; stays up until Ctrl-C, or ends by itself with ONCE=1
	cargo build --locked -p upstreams -p envoy-harness --bins
	ONCE=$(ONCE) cargo run --locked -p envoy-harness --bin demo

test: build ## every test: unit, property, fake host, real Envoy, manifests, documents
	@tools/run-tests

check: lint test ## formatting, clippy, documentation without a warning, then every test

bench: build ## what a request costs beside Envoy's own filters, and how it grows, in some six minutes; QUICK=1: under two, no growth
	@cargo rustc --locked --quiet $(WASM) -p floor-filter --lib --crate-type cdylib
	@QUICK=$(QUICK) GROWTH=$(GROWTH) ONLY='$(ONLY)' $(if $(BEFORE),BEFORE='$(abspath $(BEFORE))') \
	  cargo run --locked --quiet -p load --bin bench

order: build ## record which functions requests run (filters/*/order.txt), so that they lie side by side in a module
	@cargo run --locked --quiet -p packager -- trace $(or $(CARGO_TARGET_DIR),target)/traced
	@TRACED='$(abspath $(or $(CARGO_TARGET_DIR),target)/traced)' cargo run --locked --quiet -p load --bin bench
	@cargo run --locked --quiet -p packager

long: build ## the limiter under ten times the load, a million keys; bodies of 1 GiB: too long for check
	GATEHOUSE_LONG=1 GATEHOUSE_REQUIRE_ALL=1 tools/run-tests -p envoy-harness --test real_envoy -- rate_limit:: transform::large::

lint: setup
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked $(WASM) $(MODULES) -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet
	@tools/fuzz --build
	cargo clippy --locked -p fuzz --features libfuzzer --bins -- -D warnings

fuzz: ## each fuzz target for FUZZ_SECONDS (600), JOBS at a time (as many as cores); what it finds fails, with the way to see it again
	@tools/fuzz

interop: build ## programs that others wrote: an OpenID provider, token libraries, grpcio, connect-node (needs Node 18, fetches packages)
	@tools/interop

compose-test: setup ## the compose stack on a Docker daemon of its own, as root (not part of check: it installs nothing)
	@tools/compose-test

deny: ## licences, bans and sources of every dependency, where cargo-deny is installed
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check bans licenses sources; \
	else echo 'deny: cargo-deny is not installed (cargo install --locked cargo-deny)'; fi

clean: ## remove everything that was built or fetched
	cargo clean
	rm -rf dist
