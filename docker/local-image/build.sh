#!/usr/bin/env bash
# Builds images without an image registry: the base by debootstrap, the Java runtime by jlink from a JDK 21 or newer,
# OpenSearch from the artifacts of the lock file (downloaded and verified where needed), Elasticsearch by Maven, and
# Python from Debian for the images of the package itself.
# Needs root, debootstrap and a running Docker engine (start-docker.sh installs and starts one).
#   build.sh [opensearch] [elasticsearch] [python]     all without a name; images that are there are left as they are
# PYTHON: a Python with hybrid-search installed; JAVA_HOME: the JDK. Prints the images that it made; exit status 69 where
# this machine lacks what is needed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$here/../..
python=${PYTHON:-$project/.venv/bin/python}
base=hybrid-search/debian:bookworm
declare -A images=(
  [opensearch]=hybrid-search/opensearch:3.6.0
  [elasticsearch]=hybrid-search/elasticsearch:9.5.3
  [python]=hybrid-search/python:3.11
)

home_of_the_lock='
from hybrid_search.engine.local.account import Account
from hybrid_search.engine.local.home import ensure_home
from hybrid_search.engine.local.java import find_java
print(ensure_home(find_java(Account())))'

lacking() { echo "$*" >&2; exit 69; }
shown() { cat "$work/log" >&2; exit 1; }
is_there() { docker image inspect "$1" >/dev/null 2>&1; }

find_jdk() {
  local home version
  for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
    [ -x "$home/bin/jlink" ] || continue
    version=$("$home/bin/jlink" --version)
    [ "${version%%.*}" -ge 21 ] && { echo "$home"; return; }
  done
  return 1
}

make_base() {
  is_there "$base" && return
  command -v debootstrap >/dev/null || lacking "debootstrap is not installed"
  debootstrap --variant=minbase bookworm "$work/rootfs" >"$work/log" 2>&1 ||
    lacking "debootstrap failed: $(tail -n 1 "$work/log")"
  tar --directory "$work/rootfs" --exclude ./dev --exclude ./var/cache/apt --create . | docker import - "$base" >/dev/null
  rm -rf "$work/rootfs"
  echo "$base"
}

make_runtime() {
  [ -d "$work/runtime" ] && return
  local jdk
  jdk=$(find_jdk) || lacking "No JDK 21 or newer with jlink: set JAVA_HOME"
  "$jdk/bin/jlink" --output "$work/runtime" --strip-debug --no-header-files --no-man-pages --add-modules java.se \
    --add-modules jdk.incubator.vector,jdk.unsupported,jdk.localedata,jdk.management,jdk.zipfs,jdk.net,jdk.security.auth \
    --add-modules jdk.httpserver >"$work/log" 2>&1 || shown
}

# What each image copies, in the folder that it is built in.
opensearch_files() {
  make_runtime
  cp -r "$("$python" -c "$home_of_the_lock")" "$work/home"
  rm -r "$work/home/plugins/hybrid-search-guard" "$work/home/compiler" # the guard answers no other machine
  cp "$here/log4j2.properties" "$here/start-opensearch.sh" "$work"
}

elasticsearch_files() {
  make_runtime
  local node=$project/tests/engines/elasticsearch-node
  PYTHONPATH=$project/tests "$python" -c 'import elasticsearch_node as node; node.build(node.java_home())' 2>"$work/log" ||
    lacking "$(tail -n 1 "$work/log")"
  mkdir -p "$work/home/target"
  cp "$node/run.sh" "$work/home"
  cp -r "$node"/target/{esnode.jar,lib,home} "$work/home/target"
  cp "$here/start-elasticsearch.sh" "$work"
}

python_files() {
  cp /etc/ssl/certs/ca-certificates.crt "$work/authorities.pem"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0 # the older builder is part of the engine
[ $# -gt 0 ] || set -- "${!images[@]}"
for name in "$@"; do
  image=${images[$name]}
  is_there "$image" && continue
  make_base
  rm -rf "$work/home"
  "${name}_files"
  docker build --quiet --network host --build-arg BASE="$base" --file "$here/$name.Dockerfile" --tag "$image" "$work" \
    >"$work/log" 2>&1 || shown
  echo "$image"
done
