#!/usr/bin/env bash
# Puts one fault at a time back into a copy of the sources and asks whether it is found: by the simulation within
# SEEDS seeds (2000), or by the test that the patch names. Prints a table.
#
#   tests/mutations/run.sh                       all of tests/mutations/*.patch
#   tests/mutations/run.sh some.patch other.patch
#
# A patch begins with lines of its own:
#   # fault: what it puts back, in one sentence
#   # found-by: simulation            or: --test guard -- a_test_by_its_name, or: --lib path::of::a_test
# MUTATIONS_DIR names where the copy, its build and the logs go (target/mutations). Sources that are not under git are not
# copied. The build is the copy's own: in one folder the sources' own and the changed ones would overwrite each other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here="$PWD"
work="${MUTATIONS_DIR:-$here/target/mutations}"
tree="$work/tree"
export SEEDS="${SEEDS:-2000}" FAILURES=1 RUST_BACKTRACE=0 CARGO_TARGET_DIR="$work/target"

rm -rf "$tree"
mkdir -p "$tree"
git ls-files -z | xargs -0 cp --parents --target-directory="$tree"
cd "$tree"

# Runs what should find a fault: 0 = it found nothing. The log tells the rest.
passes() {
    local found_by="$1" log="$2"
    if [ "$found_by" = simulation ]; then
        cargo test --locked --quiet --test simulation -- --nocapture >"$log" 2>&1
    else
        # shellcheck disable=SC2086
        cargo test --locked --quiet $found_by >"$log" 2>&1
    fi
}

builds() {
    cargo test --locked --quiet --no-run --lib --test simulation >"$1" 2>&1
}

patches=("$@")
if [ ${#patches[@]} -eq 0 ]; then
    shopt -s nullglob
    patches=("$here"/tests/mutations/*.patch)
fi

builds "$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
if ! passes simulation "$work/unchanged.log"; then
    echo "the simulation fails on the unchanged sources: see $work/unchanged.log" >&2
    exit 1
fi
echo "Unchanged: nothing is found in $SEEDS seeds ($(git -C "$here" rev-parse --short HEAD), $(date -u +%F))."
echo
echo "| fault put back | found by | where |"
echo "| --- | --- | --- |"
missed=0
for patch in "${patches[@]}"; do
    case "$patch" in /*) ;; *) patch="$here/$patch" ;; esac
    name="$(basename "$patch" .patch)"
    fault="$(sed -n 's/^# fault: //p' "$patch")"
    found_by="$(sed -n 's/^# found-by: //p' "$patch")"
    log="$work/$name.log"
    if ! patch --quiet --strip=1 --fuzz=0 --no-backup-if-mismatch <"$patch" >"$log" 2>&1; then
        echo "| ${fault:-$name} | | **the patch does not fit any more** |"
        missed=1
        # What went in goes out again.
        git -C "$here" ls-files -z | (cd "$here" && xargs -0 cp --parents --target-directory="$tree")
        continue
    fi
    if ! builds "$log"; then
        where="**does not build**"
        missed=1
    elif passes "${found_by:-simulation}" "$log"; then
        where="**not found**"
        missed=1
    elif [ "${found_by:-simulation}" = simulation ]; then
        where="$(sed -n 's/^==== \(seed [0-9]*: [^:]*\):.*/\1/p' "$log" | head -n 1)"
    else
        where="fails"
    fi
    echo "| ${fault:-$name} | ${found_by:-simulation} | $where |"
    patch --quiet --strip=1 --reverse --no-backup-if-mismatch <"$patch"
done
exit "$missed"
