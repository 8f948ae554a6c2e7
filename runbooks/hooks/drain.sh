#!/bin/sh
# Takes a node out of the load balancer. Here: a file stands for it.
set -eu
dir="${TMPDIR:-/tmp}/coldswap-lab/${COLDSWAP_RUN:-none}"
mkdir -p "$dir"
echo "${TICKET:-no ticket}" > "$dir/$1.drained"
echo "drained $1"
