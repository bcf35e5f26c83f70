#!/usr/bin/env bash
# Installs and starts a Docker engine where none answers: Debian or Ubuntu, as root. For CI machines.
# Prints the process id of the engine that it started, nothing where one answered; one line on stderr where it cannot.
set -euo pipefail
answers() { docker info >/dev/null 2>&1; }
lacking() { echo "$*" >&2; exit 69; }

install_missing() {
  local missing=() program
  declare -A packages=([dockerd]=docker.io [docker]=docker.io [debootstrap]=debootstrap)
  for program in "${!packages[@]}"; do
    command -v "$program" >/dev/null || missing+=("${packages[$program]}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || lacking "No Docker engine answers, and this is no Debian or Ubuntu to install one on"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update && apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=60 "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null || lacking "No Docker engine answers, and apt-get cannot install one: $(tail -n 1 "$log")"
}

answers && exit 0
[ "$(id -u)" -eq 0 ] || lacking "No Docker engine answers, and only root can start one"
log=$(mktemp)
install_missing
answers && exit 0 # where the package has started it
nohup dockerd >"$log" 2>&1 </dev/null &
engine=$!
for _ in $(seq 60); do
  answers && { echo "$engine"; exit 0; }
  kill -0 "$engine" 2>/dev/null || break
  sleep 0.5
done
kill "$engine" 2>/dev/null || true
lacking "The Docker engine does not start: $(tail -n 1 "$log")"
