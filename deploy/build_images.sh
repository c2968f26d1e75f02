#!/usr/bin/env bash
# Builds the images of the gateway and the services, both variants where there are two.
#   deploy/build_images.sh [TAG]     ENGINE=podman; PIP_CONF, PIP_CONF_CUDA: pip.conf files naming indexes
set -euo pipefail
cd "$(dirname "$0")/.."
tag=${1:-0.1.0}
engine=${ENGINE:-docker}
secrets=()
[ -z "${PIP_CONF:-}" ] || secrets+=(--secret "id=pip,src=$PIP_CONF")
[ -z "${PIP_CONF_CUDA:-}" ] || secrets+=(--secret "id=pip-cuda,src=$PIP_CONF_CUDA")

build() { # NAME DOCKERFILE TARGET TAG
    printf '\n== %s:%s\n' "$1" "$4"
    DOCKER_BUILDKIT=1 "$engine" build "${secrets[@]}" --file "$2" --target "$3" --tag "talksplat/$1:$4" .
}

build gateway api/Dockerfile cpu "$tag"
for dockerfile in services/*/Dockerfile; do
    name=$(basename "$(dirname "$dockerfile")")
    build "$name" "$dockerfile" cpu "$tag"
    if grep -q ' AS cuda$' "$dockerfile"; then build "$name" "$dockerfile" cuda "$tag-cuda"; fi
done
