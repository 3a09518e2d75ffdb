#!/usr/bin/env bash
# Makes target/debian/rosterd_VERSION_ARCHITECTURE.deb and prints its path. Needs cargo-deb 3 and Debian's dpkg-dev.
# What goes where is in Cargo.toml, [package.metadata.deb].
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo build --locked --profile dist >&2
rosterd="${CARGO_TARGET_DIR:-target}/dist/rosterd"

# Made by the binary that is packaged, so that they cannot tell of another.
generated=target/package
rm -rf "$generated/man"
mkdir -p "$generated/man"
"$rosterd" man --into "$generated/man"
"$rosterd" completions bash >"$generated/rosterd.bash"
"$rosterd" completions zsh >"$generated/_rosterd"
"$rosterd" completions fish >"$generated/rosterd.fish"

# cargo-deb takes a mode from Cargo.toml, but a time from the file: the commit's makes the package reproducible.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}"
export SOURCE_DATE_EPOCH
cargo deb --locked --profile dist --no-build --quiet
