# The query client and the command line, without torch: for services whose queries are encoded elsewhere, and for BM25.
#   docker build -f docker/query.Dockerfile -t hybrid-search .
#   docker run --rm -e HYBRID_SEARCH_URL=http://host.docker.internal:9200 hybrid-search search my-index "a question" --legs bm25
FROM python:3.12-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir uv
COPY pyproject.toml README.md constraints.txt ./
COPY hybrid_search hybrid_search
COPY mappings mappings
RUN uv venv /opt/venv && uv pip install --python /opt/venv/bin/python --constraint constraints.txt .

FROM python:3.12-slim
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home search
USER search
ENV PATH=/opt/venv/bin:$PATH
ENTRYPOINT ["hybrid-search"]
CMD ["--help"]
