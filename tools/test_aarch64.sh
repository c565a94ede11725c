#!/usr/bin/env bash
# Runs the kernels' tests for aarch64 (NEON) on any Linux machine, under emulation: several times
# slower than on the processor itself, so for correctness only.
#
#   apt-get install gcc-aarch64-linux-gnu qemu-user
#   rustup target add aarch64-unknown-linux-gnu
#   tools/test_aarch64.sh            # the kernels' unit tests and every convolution algorithm
#   tools/test_aarch64.sh --lib gram # or what is named, as for `cargo test`
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
test() { cargo test --locked --target aarch64-unknown-linux-gnu "$@"; }

if [ $# -gt 0 ]; then
    test "$@"
else
    test --lib kernels
    test --test convolution
fi
