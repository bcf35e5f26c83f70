#!/bin/sh
# run.sh --data DIR --port N [--with-stdin] [-Esetting=value ...]
# JAVA_HOME: a JDK 21 or newer. HEAP: heap size, 1g by default. JAVA_OPTS: more options of the JVM.
here=$(cd "$(dirname "$0")" && pwd)

# The distribution brings its own libzstd; the system's does as well. Without one the server runs on,
# but an index with "codec": "best_compression" never gets its shard.
zstd=$(ls /usr/lib/*/libzstd.so.1 /usr/lib64/libzstd.so.1 2>/dev/null | head -n 1)
mkdir -p "$here/target/native"
[ -n "$zstd" ] && ln -sfn "$zstd" "$here/target/native/libzstd.so"

exec "${JAVA_HOME:?set JAVA_HOME}/bin/java" \
  -Xms"${HEAP:-1g}" -Xmx"${HEAP:-1g}" -XX:+UseG1GC \
  --add-modules=jdk.incubator.vector \
  --enable-native-access=ALL-UNNAMED \
  -Des.path.home="$here/target/home" \
  -Des.nativelibs.path="$here/target/native" \
  -Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false \
  -Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25 \
  -Dlog4j.shutdownHookEnabled=false -Dlog4j2.disable.jmx=true \
  $JAVA_OPTS \
  -cp "$here/target/esnode.jar:$here/target/lib/*" esnode.EsNode "$@"
