#!/usr/bin/env bash
# The real servers that tests/integration uses.   services.sh up|down|kill [postgres|rabbitmq|ceph]
# Data, logs and the file env, which the tests read, lie in TALKSPLAT_SERVICES_DIR. Starting what
# runs does nothing; what was killed starts again with its data.
set -euo pipefail
action=$1 only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
folder=${TALKSPLAT_SERVICES_DIR:-/var/tmp/talksplat-services}
first_port=${TALKSPLAT_SERVICES_PORT:-25600}
postgres_port=$first_port rabbitmq_port=$((first_port + 50)) ceph_port=$((first_port + 200))

[ "$action" != up ] || "$here/install.sh"
mkdir -p "$folder"
chmod 755 "$folder" # the user postgres must pass through
folder=$(cd "$folder" && pwd)
cd "$folder" # servers outlive the clone that starts them; RabbitMQ breaks where its folder is gone

run() { # NAME PORT
    [ -z "$only" ] || [ "$only" = "$1" ] || return 0
    "$here/$1.sh" "$action" "$folder/$1" "$2"
}
pids=()
run postgres $postgres_port & pids+=($!)
run rabbitmq $rabbitmq_port & pids+=($!)
run ceph $ceph_port & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done

if [ "$action" = up ]; then
    cat >"$folder/env" <<ENV
TALKSPLAT_TEST_DATABASE_URL=postgresql+psycopg2://postgres:pg-pass@127.0.0.1:$postgres_port/postgres
TALKSPLAT_TEST_BROKER_URL=amqp://app:app-pass@127.0.0.1:$rabbitmq_port//
TALKSPLAT_TEST_STORE_URL=s3://app-access-key:app-secret-key-0123456789@127.0.0.1:$ceph_port/talksplat-tests?secure=0
ENV
    cat "$folder/env"
elif [ "$action" = down ] && [ -z "$only" ]; then
    rm -f "$folder/env"
fi
