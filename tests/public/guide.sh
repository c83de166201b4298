#!/bin/sh
# guide.sh SOURCE BUILD COMPILER: the C blocks of docs/guide.md, one after another, compile without a warning, and print
# what its last block of text says.
set -eu
source=$1 build=$2 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

block() { # block LANGUAGE: all of them
    awk -v fence="\`\`\`$1" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$source/docs/guide.md"
}
block c >"$scratch/guide.c"
block text >"$scratch/expected"
[ -s "$scratch/guide.c" ] && [ -s "$scratch/expected" ]

# shellcheck disable=SC2046 # flags are words
"$compiler" -std=gnu11 -Wall -Wextra -Werror -I "$source/include" "$scratch/guide.c" -o "$scratch/guide" \
    -L "$build" -ltallybus -Wl,-rpath,"$build" $(pkg-config --cflags --libs libuv)
timeout 60 "$scratch/guide" "$scratch/usage.db" "$scratch/events.jsonl" >"$scratch/printed"
diff "$scratch/expected" "$scratch/printed" >&2
[ -s "$scratch/events.jsonl" ]
