#!/bin/sh
# install.sh SOURCE BUILD COMPILER [PREFIX]: a program that knows nothing but pkg-config compiles against what was
# installed, with the shared and with the static library, and runs. Without PREFIX, BUILD is installed for the purpose.
set -eu
source=$1 build=$2 compiler=$3 prefix=${4:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ -z "$prefix" ]; then
    DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --quiet
    configured=$(sed -n 's/^prefix=//p' "$build/meson-private/tallybus.pc")
    prefix=$scratch/root$configured
fi
package=$(find "$prefix" -name tallybus.pc)
[ -f "$package" ] || {
    echo "tallybus.pc is not below $prefix" >&2
    exit 1
}
PKG_CONFIG_PATH=$(dirname "$package")
export PKG_CONFIG_PATH
libraries=$(dirname "$PKG_CONFIG_PATH")
moved=--define-variable=prefix=$prefix

for header in "$source"/include/tallybus.h "$source"/include/tallybus/*; do
    cmp "$header" "$prefix/include/${header#"$source"/include/}"
done
for document in "$source"/docs/*.schema.json; do
    cmp "$document" "$prefix/share/tallybus/schemas/${document##*/}"
done
for document in prometheus/rules.yml grafana/dashboard.json; do
    cmp "$source/docs/$document" "$prefix/share/tallybus/$document"
done
[ "$(pkg-config --print-requires tallybus | cut -d ' ' -f 1)" = libuv ] || {
    echo "the headers need libuv's, and tallybus.pc does not require libuv" >&2
    exit 1
}

# shellcheck disable=SC2046 # flags are words
"$compiler" "$source/tests/public/consumer.c" -o "$scratch/with-shared" $(pkg-config "$moved" --cflags --libs tallybus)
LD_LIBRARY_PATH=$libraries "$scratch/with-shared"
LD_LIBRARY_PATH=$libraries ldd "$scratch/with-shared" | grep -q "libtallybus.so.0 => $libraries" || {
    echo "the program linked with the shared library does not use the one installed" >&2
    exit 1
}

# The linker takes the archive only where there is no shared library beside it.
mkdir "$scratch/static"
cp "$libraries/libtallybus.a" "$scratch/static"
# shellcheck disable=SC2046
"$compiler" "$source/tests/public/consumer.c" -o "$scratch/with-static" -L "$scratch/static" \
    $(pkg-config "$moved" --cflags --libs --static tallybus)
"$scratch/with-static"
if ldd "$scratch/with-static" | grep libtallybus >&2; then
    echo "the program linked with the static library uses the shared one" >&2
    exit 1
fi

if [ -x "$prefix/bin/tallybus" ]; then
    "$prefix/bin/tallybus" --help >/dev/null
fi
