#!/bin/bash
# A sweep by GNU parallel, on this machine's cores (tested) or over several hosts that see this folder and FOLDER under the
# same paths and have the program (not tried):
#
#   bash parallel.sh GRID.json FOLDER [FLAG OF parallel]…      such as --jobs 8, or --sshlogin big,other
#
# ORTHOREAD=/path/to/orthoread names the program. Call the script again to continue. Exit code: how many runs
# failed, diverged or were interrupted; 101 for more than 100.
set -u
[ $# -ge 2 ] || { echo "usage: bash parallel.sh GRID.json FOLDER [FLAG OF parallel]..." >&2; exit 2; }
program=${ORTHOREAD:-orthoread} grid=$(realpath "$1") folder=$(realpath -m "$2")
shift 2

status=$("$program" sweep "$grid" --out "$folder" --status --json) || exit
todo=${status#*'"todo":"'} todo=${todo%%'"'*}
[ -n "$todo" ] || { echo "nothing is left to do in $folder"; exit 0; }
# One index per line, from ranges such as 0-3,7. When interrupted, the runs have a minute to save and exit.
for range in ${todo//,/ }; do seq "${range%-*}" "${range#*-}"; done |
  parallel --quote --workdir "$PWD" --line-buffer --tag --termseq TERM,60000,KILL "$@" \
    "$program" sweep "$grid" --out "$folder" --jobs 1 --index {}
