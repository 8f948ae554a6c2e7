#!/bin/sh
# Succeeds when the node is out of the load balancer already.
test -e "${TMPDIR:-/tmp}/coldswap-lab/${COLDSWAP_RUN:-none}/$1.drained"
