#!/bin/sh
# "Trains" in awk: gradient descent on (w - 3)^2. The last line of stdout is the result.
# usage: fit.sh LEARNING_RATE STEPS
awk -v lr="$1" -v steps="$2" 'BEGIN {
  w = 0
  for (i = 1; i <= steps; i++) w -= lr * 2 * (w - 3)
  printf "w = %.4f after %d steps\n", w, steps
  printf "{\"loss\": %.10f, \"cost\": %d}\n", (w - 3) ^ 2 + 0.0001 * steps, steps
}'
