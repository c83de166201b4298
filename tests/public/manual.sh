#!/bin/sh
# manual.sh SOURCE BUILD: the page of the manual is well-formed, and names each command of `tallybus --help`, each option
# of each command's help, and no other; and what it says of exit codes is what the help says.
set -eu
page=$1/packaging/man/tallybus.1 tool=$2/tools/tallybus
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if command -v groff >/dev/null; then
    LC_ALL=C.UTF-8 groff -ww -man -Tutf8 "$page" 2>&1 >/dev/null | tee "$scratch/warnings" >&2
    [ ! -s "$scratch/warnings" ]
fi

same() { # same WHAT: the help's list and the page's
    diff "$scratch/help" "$scratch/page" >"$scratch/diff" || {
        echo "$1 differ: < the help, > the page" >&2
        cat "$scratch/diff" >&2
        exit 1
    }
}

"$tool" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' >"$scratch/commands"
[ -s "$scratch/commands" ]
sort "$scratch/commands" >"$scratch/help"
sed -n 's/^\.SS //p' "$page" | sort >"$scratch/page"
same commands

"$tool" --help | tr '\n' ' ' | sed 's/.*Exit codes: //' | grep -oE '(^|, )[0-9] ' | tr -dc '0-9\n' >"$scratch/help"
sed -n '/^\.SH EXIT STATUS/,/^\.SH EXAMPLES/p' "$page" | sed -n 's/^\.B \([0-9]\)$/\1/p' >"$scratch/page"
same "exit codes"

checked=0
while read -r command; do
    case $command in help | version) continue ;; esac
    code=0
    "$tool" "$command" --help </dev/null >"$scratch/told" 2>"$scratch/why" || code=$?
    if [ "$code" -eq 3 ] && grep -q 'was built without' "$scratch/why"; then
        continue # the page tells it all the same
    fi
    [ "$code" -eq 0 ]
    sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$scratch/told" | sort >"$scratch/help"
    [ -s "$scratch/help" ]
    awk -v section=".SS $command" '/^\.S[SH] /{ inside = $0 == section } inside' "$page" |
        sed -n 's/^\.BI\{0,1\} \(\\-\\-[a-z\\-]*[a-z]\).*/\1/p' | sed 's,\\,,g' | sort >"$scratch/page"
    same "options of $command"
    checked=$((checked + 1))
done <"$scratch/commands"
[ "$checked" -gt 0 ]
