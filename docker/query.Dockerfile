# The query client and the command line, without torch: for services whose queries are encoded elsewhere, and for BM25.
#   docker build -f docker/query.Dockerfile -t hybrid-search .
#   docker run --rm -e HYBRID_SEARCH_URL=http://host.docker.internal:9200 hybrid-search search my-index "a question" --legs bm25
# Another base is given by --build-arg BASE=...; it needs Python 3.11 or newer with venv. Whoever needs the very bytes
# names a digest: BASE=python@sha256:... Everything that is installed is held to the hashes of the locks (.ci/lock).
ARG BASE=python:3.12.12-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
COPY docker/build.lock docker/query.lock docker/
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r docker/build.lock \
 && /opt/build/bin/uv venv --python python3 /opt/venv \
 && /opt/build/bin/uv pip install --no-cache --python /opt/venv/bin/python --require-hashes -r docker/query.lock
COPY pyproject.toml README.md ./
COPY docker/hybrid-search.cdx.json docker/
COPY hybrid_search hybrid_search
COPY mappings mappings
RUN /opt/build/bin/python -m hatchling build -t wheel -d /dist \
 && /opt/build/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps /dist/*.whl

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 10001 search
USER 10001
ENV PATH=/opt/venv/bin:$PATH
# What is kept running on this image is healthy while the command starts; whether a cluster answers is its own matter.
HEALTHCHECK --interval=1m --timeout=30s CMD ["hybrid-search", "--version"]
ENTRYPOINT ["hybrid-search"]
CMD ["--help"]
