#!/bin/sh
# contributing.sh SOURCE BUILD COMPILER: the examples of CONTRIBUTING.md hold: its event becomes a type when it is added to
# the catalogue, and its tracker and subscriber are one program that compiles without a warning and ends with 0.
set -eu
source=$1 build=$2 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

blocks() { # blocks KIND: the text of all blocks of C of that kind
    awk -v fence="\`\`\`c $1" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$source/CONTRIBUTING.md"
}
for kind in event use program; do
    blocks "$kind" >"$scratch/$kind.c"
    [ -s "$scratch/$kind.c" ] || {
        echo "CONTRIBUTING.md has no block of C called '$kind'" >&2
        exit 1
    }
done

cp -R "$source/include" "$scratch/include"
grep -qF "$(head -n 1 "$scratch/event.c")" "$source/include/tallybus/catalogue.def" || # somebody follows the example
    awk -v entry="$scratch/event.c" '/clang-format on/ { while ((getline line < entry) > 0) print line } { print }' \
        "$source/include/tallybus/catalogue.def" >"$scratch/include/tallybus/catalogue.def"
printf '#include <tallybus.h>\n' | cat - "$scratch/use.c" >"$scratch/added.c"
warnings="-std=gnu11 -Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086 # flags are words
"$compiler" $warnings -I "$scratch/include" $(pkg-config --cflags libuv) -c "$scratch/added.c" -o "$scratch/added.o"
# shellcheck disable=SC2046,SC2086
"$compiler" $warnings -I "$source/include" "$scratch/program.c" -o "$scratch/program" \
    -L "$build" -ltallybus -Wl,-rpath,"$build" $(pkg-config --cflags --libs libuv)
timeout 60 "$scratch/program" || {
    echo "the program of CONTRIBUTING.md ended with $?" >&2
    exit 1
}
