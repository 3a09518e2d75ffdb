#!/usr/bin/env bash
# Puts faults back, one at a time, into a copy of the sources, and asks whether the test that is named for each finds it.
# Prints a table, and fails where a fault is not found, does not build, or its patch does not fit any more.
#
#   tests/mutations/run.sh                                   all of tests/mutations/*.patch
#   tests/mutations/run.sh tests/mutations/one.patch ...     these
#
# A patch begins with lines of its own:
#   fault: what it puts back, in one sentence
#   found by: --test cases guards::a_test     or: --lib path::of::a_test     or: SEED=17 --test simulation a_test
#   heading: under which heading of the case list the fault stands
# MUTATIONS_DIR names where the copy, its build and the logs go (target/mutations). The build is the copy's own: in one
# folder the sources' own and the changed ones would overwrite each other. What git does not know is not copied.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
here="$PWD"
work="${MUTATIONS_DIR:-$here/target/mutations}"
tree="$work/tree"
# Nobody looks at a backtrace here, and without them each of the many builds is shorter.
export CARGO_TARGET_DIR="$work/target" CARGO_PROFILE_DEV_DEBUG=0 CARGO_TERM_COLOR=never RUST_BACKTRACE=0
# A fault may make its test wait for ever.
longest=300

copy() { git -C "$here" ls-files -z | (cd "$here" && xargs -0 cp --parents --target-directory="$tree"); }
field() { sed -n "s/^$1: //p" "$2" | head -n 1; }

# The words of "found by": what goes into the environment, how cargo builds it, and the test.
parse() {
    settings=() build=() name=""
    local word words
    read -r -a words <<<"$1"
    for word in "${words[@]}"; do
        case "$word" in
            *=*) settings+=("$word") ;;
            --*) build+=("$word") ;;
            *) if [ "${build[*]: -1}" = --test ]; then build+=("$word"); else name="$word"; fi ;;
        esac
    done
}

# 0 = the named test ran and passed, 1 = it failed, 2 = it does not build, 3 = it did not run, 4 = it did not end.
ask() {
    local log="$1" code=0
    if ! cargo test --locked --quiet --no-run "${build[@]}" >"$log" 2>&1; then
        # The compiler's own memory of the build before may trip over a change; a build without it tells.
        grep -q '^error: internal compiler error' "$log" || return 2
        rm -rf "$CARGO_TARGET_DIR/debug/incremental"
        cargo test --locked --quiet --no-run "${build[@]}" >"$log" 2>&1 || return 2
    fi
    timeout "$longest" env "${settings[@]}" cargo test --locked --quiet "${build[@]}" -- --exact "$name" >>"$log" 2>&1 || code=$?
    if [ "$code" = 124 ]; then return 4; fi
    if [ "$code" != 0 ]; then return 1; fi
    grep -q '^test result: ok. 1 passed' "$log" || return 3
}

patches=("$@")
if [ ${#patches[@]} -eq 0 ]; then patches=(tests/mutations/*.patch); fi

rm -rf "$tree"
mkdir -p "$tree" "$work/logs"
copy
cd "$tree"

# A test that fails, or is not there, without any fault finds nothing.
missed=0
mapfile -t named < <(for patch in "${patches[@]}"; do field "found by" "$here/$patch"; done | sort -u)
for found_by in "${named[@]}"; do
    parse "$found_by"
    if ! ask "$work/logs/unchanged.log"; then
        echo "on the unchanged sources: $name does not pass" >&2
        cat "$work/logs/unchanged.log" >&2
        missed=1
    fi
done
[ "$missed" = 0 ] || exit 1

echo "Unchanged, every test below passes ($(git -C "$here" rev-parse --short HEAD), $(date -u +%F))."
echo
echo "| fault | found by | result |"
echo "| --- | --- | --- |"
heading=""
mapfile -t patches < <(for patch in "${patches[@]}"; do printf '%s\t%s\n' "$(field heading "$here/$patch")" "$patch"; done | sort | cut -f 2)
for patch in "${patches[@]}"; do
    file="$here/$patch"
    log="$work/logs/$(basename "$patch" .patch).log"
    if [ "$heading" != "$(field heading "$file")" ]; then
        heading="$(field heading "$file")"
        echo "| **$heading** | | |"
    fi
    parse "$(field "found by" "$file")"
    if ! patch --quiet --strip=1 --fuzz=0 --no-backup-if-mismatch <"$file" >"$log" 2>&1; then
        result="**does not fit any more**"
        missed=1
    else
        code=0
        ask "$log" || code=$?
        case "$code" in
            0) result="**not found**" missed=1 ;;
            1) result="found" ;;
            2) result="**does not build**" missed=1 ;;
            3) result="**the test did not run**" missed=1 ;;
            4) result="found: the test does not end within $longest s" ;;
        esac
    fi
    echo "| $(field fault "$file") | \`$(field "found by" "$file" | sed 's/^--test \([a-z_]*\) /\1: /; s/^--lib /lib: /')\` | $result |"
    # What went in goes out again, and is newer than its build.
    sed -n 's#^+++ b/##p' "$file" | sort -u | while read -r changed; do cp "$here/$changed" "$changed"; done
done
exit "$missed"
