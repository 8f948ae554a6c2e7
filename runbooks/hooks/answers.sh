#!/bin/sh
# Asks whether the service answers from its new machine. Here: it always does.
echo "$1 answers from $2"
