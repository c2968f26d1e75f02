#!/usr/bin/env bash
# Installs PostgreSQL, RabbitMQ, Ceph RGW and Prometheus on Debian 12, as root, and starts nothing.
# Does nothing where they are installed already.
set -euo pipefail
packages=(ceph-common ceph-mon ceph-osd curl postgresql prometheus rabbitmq-server radosgw)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "missing: ${missing[*]}; as root: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
# The packages must not start daemons of their own. An existing policy is left alone.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]} (about a minute)"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
