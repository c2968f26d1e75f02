#!/usr/bin/env bash
# Prometheus without systemd.   prometheus.sh up|down FOLDER PORT
# Reads FOLDER/prometheus.yml, which whoever starts it has written.
set -euo pipefail
action=$1 port=$3
folder=$(cd "$2" && pwd)
. "$(dirname "$0")/liveness.sh"
pid() { cat "$folder/pid" 2>/dev/null || true; }

if [ "$action" = down ]; then
    stop_process "$(pid)" prometheus
    exit 0
fi
promtool check config "$folder/prometheus.yml" >/dev/null
if ! is_alive "$(pid)" prometheus; then
    setsid prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" \
        --web.listen-address="127.0.0.1:$port" >"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
fi
for _ in $(seq 300); do
    curl -sf -o /dev/null "http://127.0.0.1:$port/-/ready" && exit 0
    sleep 0.1
done
echo "Prometheus did not start; see $folder/log" >&2
exit 1
