#!/bin/sh
# umbrella.sh SOURCE: <tallybus.h> includes each header of include/tallybus/.
set -eu
bad=0
for header in "$1"/include/tallybus/*.h; do
    name=${header##*/}
    grep -q "^#include <tallybus/$name>" "$1/include/tallybus.h" || {
        echo "tallybus.h does not include <tallybus/$name>" >&2
        bad=1
    }
done
exit $bad
