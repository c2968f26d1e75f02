#!/usr/bin/env bash
# RabbitMQ without systemd.   rabbitmq.sh up|down|kill FOLDER PORT
# Takes PORT, PORT+10 (epmd), +20 (management), +30 (metrics), +40 (distribution).
set -euo pipefail
action=$1 port=$3
mkdir -p "$2/mnesia" "$2/log"
folder=$(cd "$2" && pwd)
. "$(dirname "$0")/liveness.sh"
export HOME=$folder RABBITMQ_NODENAME=talksplat$port@localhost RABBITMQ_CONF_ENV_FILE=/dev/null
export RABBITMQ_CONFIG_FILE=$folder/rabbitmq.conf RABBITMQ_PID_FILE=$folder/pid
export RABBITMQ_ENABLED_PLUGINS_FILE=$folder/enabled_plugins
export RABBITMQ_MNESIA_BASE=$folder/mnesia RABBITMQ_LOG_BASE=$folder/log
export RABBITMQ_DIST_PORT=$((port + 40)) ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((port + 10))
export PATH=/usr/lib/rabbitmq/bin:$PATH ERL_CRASH_DUMP=$folder/log/erl_crash.dump
pid() { cat "$folder/pid" 2>/dev/null || true; }

case $action in
down)
    stop_process "$(pid)" beam # beam takes SIGTERM as a clean stop
    epmd -kill >/dev/null 2>&1 || true # only the one of this port
    exit 0
    ;;
kill)
    stop_process "$(pid)" beam KILL
    exit 0
    ;;
esac
# A stage may hold its message for a day: the broker's own limit of half an hour must not end it.
# RabbitMQ 3.10 knows no limit per queue; from 3.12 the queues' own argument is enough.
cat >"$folder/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
management.tcp.ip = 127.0.0.1
management.tcp.port = $((port + 20))
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $((port + 30))
default_user = app
default_pass = app-pass
loopback_users = none
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MB
consumer_timeout = 93600000
log.file.level = warning
CONF
echo '[rabbitmq_management,rabbitmq_prometheus].' >"$folder/enabled_plugins"
if ! is_alive "$(pid)" beam; then
    rm -f "$folder/pid"
    setsid rabbitmq-server >"$folder/log/stdout" 2>&1 </dev/null &
fi
wait_for_it() { timeout 90 rabbitmqctl -q wait --timeout 85 "$folder/pid" >/dev/null 2>&1; }
wait_for_it || { sleep 1; wait_for_it; } || {
    echo "RabbitMQ did not start; see $folder/log" >&2
    exit 1
}
