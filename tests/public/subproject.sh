#!/bin/sh
# subproject.sh SOURCE BUILD COMPILER: a meson project that has the tree as a subproject builds, and its program runs.
# Without the optional dependencies, so that it builds quickly.
set -eu
source=$1 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp "$source/tests/public/subproject/meson.build" "$source/tests/public/consumer.c" "$scratch"
mkdir "$scratch/subprojects"
ln -s "$source" "$scratch/subprojects/tallybus"
{
    CC=$compiler meson setup "$scratch/build" "$scratch" --force-fallback-for=tallybus --buildtype=debug &&
        meson test -C "$scratch/build" --suite host
} >"$scratch/log" 2>&1 || {
    cat "$scratch/log" >&2
    exit 1
}
grep -q '^Ok: *1' "$scratch/log"
