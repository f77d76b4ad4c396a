#!/bin/sh
# A worker of a tunekit service that needs nothing but curl, sed and awk: it asks for trials,
# reports each step, ends a trial early where the service says so, and tells the result.
# usage: worker.sh http://host:8080 PROJECT STUDY [TRIALS]   (and $TUNEKIT_TOKEN, if there are accounts)
set -eu
studies="$1/api/v1/projects/$2/studies"
trials=${4:-5}
worker="$(hostname)/curl/$$"

# call METHOD URL [BODY]: the answer. The token stays out of the list of processes.
call() {
  {
    printf 'header = "Content-Type: application/json"\n'
    [ -z "${TUNEKIT_TOKEN:-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$TUNEKIT_TOKEN"
  } | curl --silent --show-error --fail --retry 100 --retry-max-time 120 --retry-connrefused \
    --config - --request "$1" ${3:+--data "$3"} "$2"
}

# field NAME: the number of that name in a JSON answer on stdin.
field() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p"; }

id=$(call GET "$studies/by-name?name=$3" | field id)
n=0
while [ "$n" -lt "$trials" ]; do
  asked=$(call POST "$studies/$id/trials:ask" \
    "{\"worker\":\"$worker\",\"key\":\"$worker/$n\",\"lease_s\":60,\"wait_s\":10}")
  number=$(printf '%s' "$asked" | field number)
  if [ -z "$number" ]; then
    echo "no trial: $asked"
    break
  fi
  epoch=$(printf '%s' "$asked" | field epoch)
  lr=$(printf '%s' "$asked" | field lr)
  trial="$studies/$id/trials/$number"
  held="\"worker\":\"$worker\",\"epoch\":$epoch"
  state=complete
  for step in 1 2 3 4 5 6 7 8; do
    # Gradient descent on (w - 3)^2.
    loss=$(awk -v lr="$lr" -v steps="$step" 'BEGIN {
      w = 0; for (i = 1; i <= steps; i++) w -= lr * 2 * (w - 3); printf "%.10f", (w - 3) ^ 2 }')
    answer=$(call POST "$trial:report" \
      "{$held,\"reports\":[{\"step\":$step,\"metrics\":{\"loss\":$loss}}]}")
    case $answer in
      *'"action":"stop"'*) state=stopped; break ;;
    esac
  done
  [ "$state" = stopped ] && result="" || result=",\"metrics\":{\"loss\":$loss}"
  call POST "$trial:tell" "{$held,\"key\":\"$worker/$n\",\"state\":\"$state\"$result}" > /dev/null
  echo "trial $number: lr $lr, loss $loss, $state"
  n=$((n + 1))
done
