#!/usr/bin/env bash
# PostgreSQL without systemd.   postgres.sh up|down|kill FOLDER PORT
# Root hands the folder to the user postgres, because initdb refuses root.
set -euo pipefail
action=$1 port=$3
mkdir -p "$2"
folder=$(cd "$2" && pwd)
. "$(dirname "$0")/liveness.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as_owner() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
pid() { head -1 "$folder/postmaster.pid" 2>/dev/null || true; }
cd /

if [ "$action" = kill ]; then
    for process in $(pgrep -P "$(pid)" 2>/dev/null) $(pid); do kill -9 "$process" 2>/dev/null || true; done
    exit 0
fi
if [ "$action" = down ]; then
    ! is_alive "$(pid)" postgres || as_owner "$bin/pg_ctl" -D "$folder" -m fast -w stop >/dev/null
    exit 0
fi
[ "$(id -u)" != 0 ] || chown postgres "$folder"
if [ ! -s "$folder/PG_VERSION" ]; then
    password=$(mktemp)
    echo pg-pass >"$password"
    [ "$(id -u)" != 0 ] || chown postgres "$password"
    as_owner "$bin/initdb" -D "$folder" -U postgres -A scram-sha-256 --pwfile="$password" -E UTF8 \
        --no-instructions >/dev/null
    rm -f "$password"
    as_owner tee -a "$folder/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$folder'
max_connections = 200
CONF
fi
for _ in $(seq 50); do # killed, not yet reaped
    grep -qs '^State:.Z' "/proc/$(pid)/status" && sleep 0.1 || break
done
is_alive "$(pid)" postgres ||
    as_owner "$bin/pg_ctl" -D "$folder" -l "$folder/server.log" -w -t 60 start >/dev/null
