#!/usr/bin/env bash
# Gives rustup a toolchain named `web` that builds for WebAssembly, from Debian's packages alone, for machines on which
# `rustup target add wasm32-unknown-unknown` is not possible. Needs root; takes one to two minutes, once.
set -euo pipefail

target=wasm32-unknown-unknown
packages=(rustc-web rust-web-src cargo-web lld-22)
if ! dpkg-query --show "${packages[@]}" > /dev/null 2>&1; then
    apt-get update --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "${packages[@]}"
fi

# The packages have the compiler and the source of the standard library, which is built here for the target.
sysroot=$(/usr/bin/rustc --print sysroot)
library=$sysroot/lib/rustlib/$target/lib
version=$(/usr/bin/rustc --version --verbose | sha256sum | cut --characters=1-16)
if [ ! -e "$library/.built-$version" ]; then
    work=$(mktemp --directory)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/src"
    touch "$work/src/lib.rs"
    printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n' > "$work/Cargo.toml"
    # RUSTC_BOOTSTRAP allows -Z build-std; the bitcode is for link-time optimisation.
    (
        cd "$work"
        env --unset=RUSTUP_TOOLCHAIN --unset=CARGO_BUILD_TARGET_DIR \
            RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="-C embed-bitcode=yes" CARGO_TARGET_DIR="$work/target" \
            /usr/bin/cargo build --release -Z build-std=std,panic_abort --target "$target"
    )
    rm -rf "$library"
    mkdir --parents "$library"
    find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libempty*' -exec cp {} "$library" \;
    touch "$library/.built-$version"
fi

# The compiler expects LLVM's linker beside itself.
host=$(/usr/bin/rustc --version --verbose | sed --quiet 's/^host: //p')
mkdir --parents "$sysroot/lib/rustlib/$host/bin"
ln --symbolic --force --no-dereference /usr/lib/llvm-22/bin/lld "$sysroot/lib/rustlib/$host/bin/rust-lld"

rustup toolchain link web "$sysroot"
