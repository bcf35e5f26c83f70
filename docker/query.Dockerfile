# The query client and the command line, without torch: for services whose queries are encoded elsewhere, and for BM25.
#   docker build -f docker/query.Dockerfile -t hybrid-search .
#   docker run --rm -e HYBRID_SEARCH_URL=http://host.docker.internal:9200 hybrid-search search my-index "a question" --legs bm25
# Another base is given by --build-arg BASE=...; it needs Python 3.11 or newer with venv.
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv
COPY pyproject.toml README.md constraints.txt ./
COPY hybrid_search hybrid_search
COPY mappings mappings
RUN /opt/uv/bin/uv venv --python python3 /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --constraint constraints.txt .

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home search
USER search
ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["hybrid-search"]
CMD ["--help"]
