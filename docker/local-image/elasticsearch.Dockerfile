# The real Elasticsearch server of tests/engines/elasticsearch-node, on a base and a Java runtime made on this machine.
# Built by build.sh; what it lacks of the official image is in that folder's README. For tests, not for production.
ARG BASE
FROM ${BASE}
LABEL hybrid-search.lacks="security cluster"

RUN groupadd --gid 1000 elasticsearch \
 && useradd --uid 1000 --gid elasticsearch --home-dir /usr/share/elasticsearch --no-create-home elasticsearch \
 && install -d -o elasticsearch -g elasticsearch /usr/share/elasticsearch /usr/share/elasticsearch/data
COPY runtime /opt/java
COPY --chown=elasticsearch home /usr/share/elasticsearch
COPY start-elasticsearch.sh /usr/local/bin/start-elasticsearch

USER elasticsearch
WORKDIR /usr/share/elasticsearch
VOLUME /usr/share/elasticsearch/data
EXPOSE 9200
HEALTHCHECK --interval=5s --start-period=60s CMD bash -c 'exec 3<>/dev/tcp/127.0.0.1/9200'
ENTRYPOINT ["/usr/local/bin/start-elasticsearch"]
