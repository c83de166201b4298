#!/bin/sh
# symbols.sh SOURCE BUILD COMPILER: the functions that the headers mark with TBUS_API (the catalogue's typed ones come
# out of the preprocessor) and the symbols that the shared library exports are the same set, each with the soname's
# version.
set -eu
source=$1 build=$2 compiler=$3
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck disable=SC2046 # flags are words
"$compiler" -std=gnu11 -E -P -I "$source/include" $(pkg-config --cflags libuv) "$source/include/tallybus.h" |
    tr '\n' ' ' | tr ';' '\n' | grep 'visibility("default")' |
    sed 's/__attribute__ *(([^()]*\(([^()]*)\)*[^()]*))//g' |
    sed -n 's/^[^(]*[^a-zA-Z0-9_]\(tbus_[a-zA-Z0-9_]*\) *(.*/\1/p' | sort -u >"$scratch/declared"
soname=$(readelf -d "$build/libtallybus.so" | sed -n 's/.*(SONAME).*\[libtallybus\.so\.\([0-9][0-9]*\)\]$/\1/p')
nm -D --defined-only "$build/libtallybus.so" | awk '$2 != "A" { print $3 }' | sort -u >"$scratch/versioned"
sed 's/@.*//' "$scratch/versioned" | sort -u >"$scratch/exported"

[ "$(wc -l <"$scratch/declared")" -gt 100 ] || {
    echo "only these declarations were found in the headers, which can not be all:" >&2
    cat "$scratch/declared" >&2
    exit 1
}
comm -23 "$scratch/declared" "$scratch/exported" | sed 's/^/declared, not exported: /' >"$scratch/wrong"
comm -13 "$scratch/declared" "$scratch/exported" | sed 's/^/exported, not declared: /' >>"$scratch/wrong"
sed -n "/@@TALLYBUS_$soname\$/!s/\$/: exported without the version TALLYBUS_$soname/p" "$scratch/versioned" >>"$scratch/wrong"
cat "$scratch/wrong" >&2
[ ! -s "$scratch/wrong" ]
