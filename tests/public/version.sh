#!/bin/sh
# version.sh SOURCE BUILD: base.h, meson.build, the pkg-config file, the Debian package, its symbols, the changelog and
# the page of the manual name the same version; soname and symbol version go together.
set -eu
number() {
    sed -n "s/^#define TBUS_VERSION_$1 \([0-9]*\)$/\1/p" "$source/include/tallybus/base.h"
}
source=$1
header=$(number MAJOR).$(number MINOR).$(number PATCH)
meson=$(sed -n "s/^  version: '\(.*\)',$/\1/p" "$source/meson.build" | head -n 1)
package=$(sed -n 's/^Version: //p' "$2/meson-private/tallybus.pc")
if [ "$header" != "$meson" ] || [ "$header" != "$package" ]; then
    echo "base.h says $header, meson.build '$meson', tallybus.pc '$package'" >&2
    exit 1
fi

grep -qF "## [$header]" "$source/CHANGELOG.md" || {
    echo "CHANGELOG.md does not tell of $header" >&2
    exit 1
}
for place in "debian/changelog:tallybus ($header-1)" "debian/libtallybus0.symbols:(symver)TALLYBUS_0 $header" \
    "man/tallybus.1:\"tallybus $header\""; do
    grep -qF "${place#*:}" "$source/packaging/${place%%:*}" || {
        echo "packaging/${place%%:*} does not say ${place#*:}" >&2
        exit 1
    }
done
soname=$(objdump -p "$2/libtallybus.so" | sed -n 's/^ *SONAME *//p')
node=$(sed -n 's/^\(TALLYBUS_[0-9]*\) {$/\1/p' "$source/packaging/libtallybus.map")
if [ "$soname" != "libtallybus.so.${node#TALLYBUS_}" ]; then
    echo "the soname is $soname, the symbol version '$node'" >&2
    exit 1
fi
