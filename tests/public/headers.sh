#!/bin/sh
# headers.sh SOURCE BUILD COMPILER LANGUAGE STANDARD: each public header compiles alone, and twice over, without a
# warning.
set -eu
source=$1 compiler=$3 language=$4 standard=$5
bad=0
for header in "$source"/include/tallybus.h "$source"/include/tallybus/*.h; do
    name=${header#"$source"/include/}
    # shellcheck disable=SC2046 # flags are words
    printf '#include <%s>\n#include <%s>\nextern int unit_is_not_empty;\n' "$name" "$name" |
        "$compiler" -x "$language" -std="$standard" -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
            -I "$source/include" $(pkg-config --cflags libuv) - || {
        echo "$name does not compile alone as $standard" >&2
        bad=1
    }
done
exit $bad
