#!/bin/sh
# rules_names.sh SOURCE FILE: each metric that a file's expressions ask for is exported: its name stands in a source of the
# exporters. A "_total" that only OpenMetrics has may be left off there.
set -eu
source=$1
names=$(sed 's/tallybus:[a-z0-9_:]*//g' "$2" | # what the rules record themselves
    grep -oE '\b(error|cost|streaming|request|model|inference|kvcache|gen_ai|process|tallybus_bus)_[a-z0-9_]+' |
    sort -u)
[ -n "$names" ]
missing=0
for name in $names; do
    bare=${name%_total}
    for suffix in _bucket _sum _count; do
        case $bare in gen_ai_*) bare=${bare%"$suffix"} ;; esac
    done
    grep -qE "\"($name|$bare)\"" "$source"/exporters/prometheus*.c && continue
    echo "$name is not exported"
    missing=1
done
[ "$missing" -eq 0 ]
