# OpenSearch from the artifacts that the local node uses, on a base and a Java runtime made on this machine.
# Built by build.sh; without the security plugin, which is not among the artifacts. For tests, not for production.
ARG BASE
FROM ${BASE}
LABEL hybrid-search.lacks="security"

RUN groupadd --gid 1000 opensearch \
 && useradd --uid 1000 --gid opensearch --home-dir /usr/share/opensearch --no-create-home opensearch \
 && install -d -o opensearch -g opensearch /usr/share/opensearch /usr/share/opensearch/data
COPY runtime /opt/java
COPY --chown=opensearch home /usr/share/opensearch
COPY --chown=opensearch log4j2.properties /usr/share/opensearch/config/log4j2.properties
COPY start-opensearch.sh /usr/local/bin/start-opensearch

USER opensearch
WORKDIR /usr/share/opensearch
VOLUME /usr/share/opensearch/data
EXPOSE 9200 9300
HEALTHCHECK --interval=5s --start-period=60s CMD bash -c 'exec 3<>/dev/tcp/127.0.0.1/9200'
ENTRYPOINT ["/usr/local/bin/start-opensearch"]
