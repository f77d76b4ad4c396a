#!/bin/sh
# Tunes a program in another language: tunekit fills in {lr} and {steps}, and reads the last line.
cd "$(dirname "$0")" || exit 1
exec tunekit run --name shell --space space.yaml --minimize loss -n "${TRIALS:-20}" -- sh fit.sh '{lr}' '{steps}'
