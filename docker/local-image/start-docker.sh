#!/usr/bin/env bash
# Installs and starts a Docker engine where none answers: Debian or Ubuntu, as root. For CI machines.
set -euo pipefail
docker info >/dev/null 2>&1 && exit 0
[ "$(id -u)" -eq 0 ] || { echo "No Docker engine answers, and only root can start one" >&2; exit 1; }
if ! command -v dockerd debootstrap >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq docker.io debootstrap >/dev/null
fi
log=$(mktemp)
nohup dockerd >"$log" 2>&1 &
for _ in $(seq 60); do
  docker info >/dev/null 2>&1 && exit 0
  sleep 0.5
done
tail "$log" >&2
exit 1
