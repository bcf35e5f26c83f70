#!/usr/bin/env bash
# Builds the image hybrid-search/opensearch:3.6.0 without an image registry: the base by debootstrap, the Java runtime by
# jlink from a JDK 21 or newer, OpenSearch from the artifacts of the lock file (downloaded and verified where needed).
# Needs root, debootstrap and a running Docker engine (start-docker.sh installs and starts one).
#   build.sh [IMAGE]          PYTHON: a Python with hybrid-search installed; JAVA_HOME: the JDK
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
image=${1:-hybrid-search/opensearch:3.6.0}
python=${PYTHON:-$here/../../.venv/bin/python}
base=hybrid-search/debian:bookworm

find_jdk() {
  local home version
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -x "$home/bin/jlink" ] || continue
    version=$("$home/bin/jlink" --version)
    [ "${version%%.*}" -ge 21 ] && { echo "$home"; return; }
  done
  echo "No JDK 21 or newer with jlink: set JAVA_HOME" >&2
  return 1
}

jdk=$(find_jdk)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! docker image inspect "$base" >/dev/null 2>&1; then
  debootstrap --variant=minbase bookworm "$work/rootfs" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log" >&2; exit 1; }
  tar --directory "$work/rootfs" --exclude ./dev --exclude ./var/cache/apt --create . | docker import - "$base" >/dev/null
  rm -rf "$work/rootfs"
fi

"$jdk/bin/jlink" --output "$work/runtime" --strip-debug --no-header-files --no-man-pages --add-modules \
  java.se,jdk.incubator.vector,jdk.unsupported,jdk.localedata,jdk.management,jdk.zipfs,jdk.net,jdk.security.auth
home=$("$python" -c 'from hybrid_search.engine.local.home import ensure_home; print(ensure_home())')
cp -r "$home" "$work/home"
cp "$here"/{Dockerfile,log4j2.properties,start.sh} "$work"
chmod 755 "$work/start.sh"
DOCKER_BUILDKIT=0 docker build --quiet --build-arg BASE="$base" --tag "$image" "$work" >/dev/null
echo "$image"
