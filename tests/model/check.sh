#!/bin/sh
# check.sh [SPIN]: searches the models of this directory exhaustively, for small sizes. Each line of the list below is
# one search: the model, what must come of it, the options, and what it is about. "holds" means no error in the whole
# state space; anything else is the text of the error that must be found, for a model that was broken on purpose.
set -u
LC_ALL=C
export LC_ALL

spin=${1:-spin}
here=$(cd "$(dirname "$0")" && pwd) || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
tested=0
passing=0

# search MODEL EXPECTED OPTION...: true when it came out as expected; what happened is in $scratch/log and $said.
search() {
    model=$1
    expected=$2
    shift 2
    rm -rf "$scratch/work"
    mkdir "$scratch/work" && cd "$scratch/work" || exit 1
    build="-DSAFETY"
    run=
    case " $* " in *" -DLIVENESS "*)
        build="-DNFAIR=4"
        run="-a -f" # acceptance cycles, weak fairness
        ;;
    esac
    said="could not be built"
    "$spin" -a "$@" "$here/$model.pml" >"$scratch/log" 2>&1 || return 1
    # shellcheck disable=SC2086 # lists of words
    "${CC:-cc}" -w -O2 $build -DCOLLAPSE -DMEMLIM=3000 -o pan pan.c >>"$scratch/log" 2>&1 || return 1
    # shellcheck disable=SC2086
    ./pan $run -m100000 >"$scratch/log" 2>&1
    said=$(sed -n -e 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' \
        -e 's/^State-vector.*depth reached \([0-9]*\),.*/depth \1,/p' "$scratch/log" | tr '\n' ' ')
    if grep -q -e 'max search depth too small' -e 'out of memory' -e 'reached -DMEMLIM' -e 'Search not completed' \
        "$scratch/log"; then
        # A search that stops at the error it was sent to find has not been completed, and need not be.
        [ "$expected" != holds ] && grep -q '^pan: wrote .*\.trail' "$scratch/log" &&
            ! grep -q -e 'too small' -e 'out of memory' -e 'MEMLIM' "$scratch/log" || return 1
    fi
    if [ "$expected" = holds ]; then
        grep -q ', errors: 0$' "$scratch/log" && [ -n "$said" ]
    else
        grep -q ', errors: 1$' "$scratch/log" && grep -qF "$expected" "$scratch/log"
    fi
}

check() {
    about=$3
    tested=$((tested + 1))
    # shellcheck disable=SC2086 # a list of words
    if search "$1" "$2" ${4:-}; then
        passing=$((passing + 1))
        printf '[PASS] %s: %s (%s)\n' "$1" "$about" "${said% }"
    else
        printf '[FAIL] %s: %s: expected: %s; options: %s\n' "$1" "$about" "$2" "${4:-none}"
        cat "$scratch/log"
    fi
}

command -v "$spin" >/dev/null 2>&1 || {
    printf 'check.sh: there is no %s\n' "$spin" >&2
    exit 1
}

check ring holds "two producers, one below the watermark" "-DEVENTS=3"
check ring holds "three producers" "-DPRODUCERS=3 -DEVENTS=1"
check ring holds "records of up to 3 granules, refused ones dropped" "-DEVENTS=2 -DLENGTH_MAX=3 -DGIVE_UP"
check ring holds "6 granules, records of up to 3" "-DEVENTS=2 -DSIZE=6 -DLENGTH_MAX=3"
check ring holds "shut at any time" "-DEVENTS=2 -DCLOSER"
check ring "claimed<=(2*4)" "the array is gone through more than twice" "-DEVENTS=3 -DWITNESS"
check ring "found!=255" "broken: only headers are cleared" "-DEVENTS=3 -DBROKEN_CLEAR"
check ring "assertion violated" "broken: head moves before the clearing" "-DBROKEN_RELEASE"
check ring "payload" "broken: header before payload" "-DBROKEN_COMMIT"
check ring "assertion violated" "broken: shut by a load and a store" "-DEVENTS=2 -DCLOSER -DBROKEN_SHUT"
check ring "owner" "broken: positions modulo twice the size, so that a long pause makes an old head look new" \
    "-DEVENTS=3 -DLAPS=2"

check reservation holds "one reserver, one publisher"
check reservation holds "two reservers, two runs" "-DRESERVERS=2 -DRESERVATIONS=1 -DRUNS=2 -DEVENTS=0"
check reservation holds "an idle consumer steps over resolved runs" "-DSTEP_OVER -DEVENTS=1"
check reservation holds "the same, with two reservers and two runs" \
    "-DSTEP_OVER -DRESERVERS=2 -DRESERVATIONS=1 -DRUNS=2 -DEVENTS=0"
check reservation holds "an idle consumer steps over them, events longer than the gaps" \
    "-DSTEP_OVER -DFRAGMENTED -DEVENTS=1"
check reservation "quarantines<2" "there is more than one quarantine" "-DWITNESS"
check reservation "invalid end state" "without stepping over: events longer than the gaps" "-DFRAGMENTED -DEVENTS=1"
check reservation "invalid end state" "broken: all of the ring may be in quarantine" \
    "-DBROKEN_BOUND -DRESERVERS=2 -DRESERVATIONS=1 -DRUNS=2 -DEVENTS=0"
check reservation "owner" "broken: head moves before the run is noted" "-DBROKEN_NOTE"
check reservation "owner" "broken: the list is read before head" "-DBROKEN_LIST"
check reservation "owner" "broken: padding by a second look at the list" "-DBROKEN_PAD"
check reservation "assertion violated" "broken: the consumer passes a run that tail has not passed" "-DBROKEN_EAGER"
check reservation "assertion violated" "broken: a reservation is committed by a store" "-DBROKEN_COMMIT"
check reservation "invalid end state" "broken: a run is taken off the list before it is passed" "-DBROKEN_EARLY"

check wake holds "two publishers"
check wake holds "two publishers of two events" "-DEVENTS=2"
check wake holds "three publishers" "-DPUBLISHERS=3"
check wake holds "an aside" "-DPUBLISHERS=1 -DASIDE"
check wake holds "closing" "-DCLOSE"
check wake holds "an aside, and closing" "-DPUBLISHERS=0 -DASIDE -DCLOSE"
check wake holds "everything is delivered at last" "-DLIVENESS"
check wake holds "the bus is closed at last" "-DCLOSE -DLIVENESS"
check wake "invalid end state" "broken: asleep is set after the last look" "-DBROKEN_ORDER"
check wake "invalid end state" "broken: no timer" "-DBROKEN_NET"
check wake "invalid end state" "broken: publishers look at asleep before they claim" "-DBROKEN_PUBLISHER"
check wake "!(sent)" "broken: asleep is read and taken in two steps" "-DBROKEN_EXCHANGE"
check wake "after_aside" "broken: the aside is looked for before the record" "-DPUBLISHERS=0 -DASIDE -DBROKEN_ASIDE"
check wake "read==tail" "broken: the loop is told of the closing before the ring is shut" "-DCLOSE -DBROKEN_CLOSE"

printf '[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n' \
    "$tested" "$passing" $((tested - passing))
[ "$tested" -eq "$passing" ]
