#!/bin/sh
# semantics.sh SOURCE: see semantics.py.
exec python3 "$1/tests/public/semantics.py" "$1"
