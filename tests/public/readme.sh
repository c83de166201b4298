#!/bin/sh
# readme.sh SOURCE BUILD COMPILER: the first C program of the README compiles as it stands, without a warning, and
# exits with 0.
set -eu
source=$1 build=$2 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

awk '/^```c$/ { inside = 1; next } inside && /^```/ { exit } inside' "$source/README.md" >"$scratch/program.c"
[ -s "$scratch/program.c" ] || {
    echo "README.md has no program between \`\`\`c and \`\`\`" >&2
    exit 1
}
# shellcheck disable=SC2046 # flags are words
"$compiler" -std=gnu11 -Wall -Wextra -Werror -I "$source/include" "$scratch/program.c" -o "$scratch/program" \
    -L "$build" -ltallybus -Wl,-rpath,"$build" $(pkg-config --cflags --libs libuv)
timeout 60 "$scratch/program" || {
    echo "the program of README.md ended with $?" >&2
    exit 1
}
