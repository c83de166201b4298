#!/bin/sh
# version.sh SOURCE BUILD: base.h, meson.build and the pkg-config file name the same version.
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
