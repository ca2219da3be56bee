# The image of the demo stack: the services, and the Wasm modules, all built here from source. `docker compose build` does it.

# As in rust-toolchain.toml.
FROM rust:1.95.0-slim-bookworm AS build
RUN rustup target add wasm32-wasip1
WORKDIR /gatehouse
COPY . .
RUN tools/demo-image.sh /out

# The programs need no library: nothing else is in the image.
FROM scratch
COPY --from=build --chown=65532:65532 /out/ /
USER 65532:65532
ENTRYPOINT ["/upstreams"]
