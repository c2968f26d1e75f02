#!/usr/bin/env bash
# One-node Ceph serving S3 (a monitor, an OSD on a sparse file, radosgw) without systemd.
# ceph.sh up|down|kill FOLDER PORT   takes PORT and PORT+100 (monitor)
set -euo pipefail
action=$1 port=$3 host=127.0.0.1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
. "$(dirname "$0")/liveness.sh"
export CEPH_CONF=$folder/ceph.conf
pid() { cat "$folder/run/$1.pid" 2>/dev/null || true; }

if [ "$action" != up ]; then
    mode=
    [ "$action" != kill ] || mode=KILL
    stop_process "$(pid client.rgw)" radosgw $mode
    [ "${4:-all}" = gateway ] && exit 0 # "kill FOLDER PORT gateway" leaves the disk alone
    stop_process "$(pid osd.0)" ceph-osd $mode
    stop_process "$(pid mon.a)" ceph-mon $mode
    exit 0
fi

exec 9>"$folder/.lock"
flock -w 120 9 # two starts at once; daemons must not inherit it, hence 9>&- below
if [ ! -s "$CEPH_CONF" ]; then
    mkdir -p "$folder"/{mon,osd,rgw,run,log}
    # crc: radosgw insists on encrypting to the monitor, which without cephx is not possible.
    # paxos_propose_interval: first start in 7 instead of 16 s.  tcp_nodelay: 586 instead of 22
    # small reads per second.  rgw_gc: deleted data goes within seconds, not hours.
    cat >"$CEPH_CONF.new" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon_host = [v2:$host:$((port + 100))]
public_addr = $host
cluster_addr = $host
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
client_mount_timeout = 30
run_dir = $folder/run
admin_socket = $folder/run/\$name.\$pid.asok
pid_file = $folder/run/\$name.pid
log_file = $folder/log/\$name.log
mon_data = $folder/mon
paxos_propose_interval = 0.1
mon_data_avail_warn = 1
mon_data_avail_crit = 0
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_data = $folder/osd
osd_objectstore = bluestore
bluestore_block_size = 34359738368
osd_memory_target = 939524096
rgw_data = $folder/rgw
rgw_frontends = beast endpoint=$host:$port tcp_nodelay=1
rgw_enable_apis = s3
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 5
CONF
    mv "$CEPH_CONF.new" "$CEPH_CONF"
fi
if [ ! -e "$folder/mon/ready" ]; then
    rm -rf "$folder/mon"
    mkdir -p "$folder/mon"
    monmaptool --create --clobber --fsid "$(awk '/^fsid/{print $3}' "$CEPH_CONF")" \
        --addv a "[v2:$host:$((port + 100))]" "$folder/monmap" >/dev/null
    ceph-mon --mkfs -i a --monmap "$folder/monmap"
    touch "$folder/mon/ready"
fi
is_alive "$(pid mon.a)" ceph-mon || ceph-mon -i a 9>&-
if [ ! -e "$folder/osd/ready" ]; then
    [ -s "$folder/osd.uuid" ] || cat /proc/sys/kernel/random/uuid >"$folder/osd.uuid"
    rm -rf "$folder/osd"
    mkdir -p "$folder/osd"
    timeout 60 ceph osd new "$(cat "$folder/osd.uuid")" 0 >/dev/null
    ceph-osd -i 0 --mkfs --osd-uuid "$(cat "$folder/osd.uuid")" >/dev/null 2>&1
    touch "$folder/osd/ready"
fi
if ! is_alive "$(pid osd.0)" ceph-osd; then
    timeout 60 ceph osd down 0 >/dev/null 2>&1 || true # after a crash the map still names the dead one
    ceph-osd -i 0 >/dev/null 2>&1 9>&-
    for _ in $(seq 100); do # radosgw would wait 10 to 18 s for it
        timeout 30 ceph osd stat 2>/dev/null | grep -q '1 up' && break
        sleep 0.1
    done
fi
is_alive "$(pid client.rgw)" radosgw || radosgw -n client.rgw 9>&-
answers() { curl -s -o /dev/null "http://$host:$port/"; }
for _ in $(seq 300); do
    answers && break
    sleep 0.2
done
answers || {
    echo "radosgw did not start; see $folder/log" >&2
    exit 1
}
if [ ! -e "$folder/users" ]; then
    admin() { radosgw-admin -n client.rgw "$@" >/dev/null 2>>"$folder/log/admin.log"; }
    admin user create --uid=app --display-name=app --access-key=app-access-key \
        --secret-key=app-secret-key-0123456789 || admin user info --uid=app
    touch "$folder/users"
fi
