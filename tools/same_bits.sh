#!/bin/sh
# Compares two builds of Frugal: the same weights, plans and tables, bit for bit, then speed in turns.
#   tools/same_bits.sh OLD NEW            about six minutes on two quiet cores
#   tools/same_bits.sh --quick OLD NEW    about one minute, without speed: for builds without optimisation, too
exec python3 "$(dirname "$0")/same_bits.py" "$@"
