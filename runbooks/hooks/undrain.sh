#!/bin/sh
# Puts a node back into the load balancer.
rm -f "${TMPDIR:-/tmp}/coldswap-lab/${COLDSWAP_RUN:-none}/$1.drained"
echo "serving again: $1"
