#!/bin/bash
# Starts OpenSearch with the settings of the environment, as the official image does: every variable with a dot in its
# name is one (discovery.type=single-node). OPENSEARCH_JAVA_OPTS are options of the JVM.
set -euo pipefail
home=/usr/share/opensearch
config=$home/config

{
  echo "network.host: 0.0.0.0"
  echo "path.data: $home/data"
  # There is no security plugin to switch off, and it would be an unknown setting.
  env -0 | tr '\n\0' ' \n' | sed -nE '/^plugins\.security/d; s/^([a-z_]+(\.[a-z_]+)+)=(.*)$/\1: "\3"/p'
} > "$config/opensearch.yml"

# shellcheck disable=SC2086 - the options are meant to be split
exec /opt/java/bin/java -Xms512m -Xmx512m -XX:+UseSerialGC ${OPENSEARCH_JAVA_OPTS:-} \
  --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:+ExitOnOutOfMemoryError \
  -Dlog4j2.disable.jmx=true \
  -javaagent:"$(echo "$home"/agent/opensearch-agent-[0-9]*.jar)" \
  -Dopensearch.path.home="$home" -Dopensearch.path.conf="$config" -Dopensearch.distribution.type=docker \
  -cp "$home/lib/*" org.opensearch.bootstrap.OpenSearch
