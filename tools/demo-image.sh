#!/usr/bin/env bash
# Lays out the root of the demo stack's image in the folder that is named: the programs, and the Wasm modules as Envoy loads
# them. The Dockerfile runs it, and `make compose-test`. Everything honours CARGO_TARGET_DIR.
set -euo pipefail
out=$(realpath -m "${1:?the folder to fill is missing}")
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
host=$(rustc -vV | sed -n 's/^host: //p')

# As `make build` does it.
for filter in auth rate-limit routing transform; do
    cargo rustc --locked --release --target wasm32-wasip1 -p "gatehouse-$filter" --lib --crate-type cdylib
done
cargo run --locked --quiet -p packager
# Without a library of any machine, so that a program runs in an image of its own and as a health check in those of others.
# A target of its own name keeps what is compiled for the build itself from being linked in that way.
RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' \
    cargo build --locked --target "$host" -p upstreams -p envoy-harness --bins

mkdir -p "$out/modules" "$out/etc/gatehouse" "$out/var/lib/issuer"
cp dist/*.wasm "$out/modules"
cp "$target/$host/debug/upstreams" "$target/$host/debug/prepare" "$out"
