#!/bin/bash
# Starts Elasticsearch with the settings of the environment, as the official image does: every variable with a dot in its
# name is one (node.name=a). ES_JAVA_OPTS are options of the JVM.
set -euo pipefail
data=/usr/share/elasticsearch/data
options=()
while IFS='=' read -r -d '' name value; do
  # There is no x-pack, and its settings would be unknown ones.
  [[ $name =~ ^[a-z_]+(\.[a-z_]+)+$ && $name != xpack.* ]] && options+=("-E$name=$value")
done < <(env -0)

mkdir -p "$data/logs"
ln -sfn /proc/1/fd/1 "$data/logs/esnode.log"
export JAVA_HOME=/opt/java HEAP=512m JAVA_OPTS=${ES_JAVA_OPTS:-}
exec ./run.sh --data "$data" --port 9200 -Ehttp.host=0.0.0.0 "${options[@]}"
