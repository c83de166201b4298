#!/bin/sh
# python.sh SOURCE BUILD: the example for Python says what it should, and its module keeps what it promises.
set -eu
source=$1
TALLYBUS_LIBRARY=$2/libtallybus.so
PYTHONDONTWRITEBYTECODE=1
PYTHONPATH=$source/examples/python
export TALLYBUS_LIBRARY PYTHONDONTWRITEBYTECODE PYTHONPATH
exec timeout 120 python3 "$source/tests/public/python_check.py" "$source"
