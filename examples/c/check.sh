#!/bin/sh
# Starts calc_server on free ports and lets calc_client call all of it, in every way.
set -u
build=${1:-build}
log=$(mktemp)
"$build/calc_server" > "$log" &
server=$!
trap 'kill $server; rm -f "$log"' EXIT
until grep -q ready "$log"; do
    kill -0 $server || exit 1
    sleep 0.05
done
status=0
for transport in tcp udp; do
    port=$(sed -n "s,listening $transport://127.0.0.1:,,p" "$log")
    for auth in none sys; do
        printf '%s %s: ' $transport $auth
        "$build/calc_client" 127.0.0.1 "$port" $transport $auth > "$log.calls" || status=1
        grep FAIL "$log.calls"
        grep -c '^ok' "$log.calls"
    done
done
rm -f "$log.calls"
exit $status
