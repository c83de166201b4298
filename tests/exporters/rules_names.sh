#!/bin/sh
# rules_names.sh SOURCE FILE: each metric that a file's expressions ask for is exported, as docs/metrics.md lists it (in
# OpenMetrics a counter may have a "_total" more), with each label that they filter it by, and with the values.
set -eu
source=$1
missing=0
wrong()
{
    echo "$*"
    missing=1
}

# The row of a metric, if it is listed.
row()
{
    grep -E "^\| \`$1\` \|" "$source/docs/metrics.md" ||
        case $1 in
        *_total_total) ;;
        *_total) grep -E "^\| \`${1%_total}\` \| counter \|" "$source/docs/metrics.md" ;;
        esac
}

# What a label can be, where that is the library's own choice.
values()
{
    case $1 in
    reason) sed -n '/^const char \*tbus_reason_name/,/^}/p' "$source/bus/stats.c" ;;
    window) grep window_names "$source/trackers/slo.c" ;;
    *) echo "\"$2\"" ;;
    esac
}

expressions=$(sed 's/#.*//; s/tallybus:[a-z0-9_:]*//g' "$2") # without what the rules record themselves
names=$(echo "$expressions" |
    grep -oE '\b(error|cost|streaming|request|model|inference|kvcache|gen_ai|process|tallybus_bus)_[a-z0-9_]+' | sort -u)
[ -n "$names" ]
for name in $names; do
    [ -n "$(row "$name")" ] || wrong "$name is not exported"
done
for filter in $(echo "$expressions" | grep -oE '[a-z]+_[a-z0-9_]+\{[^}]*\}' | tr -d ' ' | sort -u); do
    name=${filter%%\{*}
    for pair in $(echo "${filter#*\{}" | tr -d '}"' | tr ',' ' '); do
        label=${pair%%[!a-z_]*}
        row "$name" | grep -qF "\`$label\`" || wrong "$name has no label $label"
        for value in $(echo "$pair" | sed 's/^[a-z_]*[=!~]*//' | tr '|' ' '); do
            values "$label" "$value" | grep -qF "\"$value\"" || wrong "$label is never $value"
        done
    done
done
[ "$missing" -eq 0 ]
