# Ingest with local models on an NVIDIA GPU; it runs on the CPU as well, slower.
#   docker build -f docker/ingest.Dockerfile -t hybrid-search-ingest .
#   docker run --rm --gpus all -v "$PWD:/data" -e HYBRID_SEARCH_URL=... hybrid-search-ingest index /data/docs.jsonl my-index
# PyTorch's wheels for Linux bring their own CUDA libraries: the host needs a driver and the container toolkit only.
# Another base is given by --build-arg BASE=...; it needs Python 3.11 or newer with venv. Whoever needs the very bytes
# names a digest: BASE=python@sha256:... Everything that is installed is held to the hashes of the locks (.ci/lock).
ARG BASE=python:3.12.12-slim-bookworm
FROM ${BASE} AS build
WORKDIR /src
COPY docker/build.lock docker/ingest.lock docker/
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir --require-hashes -r docker/build.lock \
 && /opt/build/bin/uv venv --python python3 /opt/venv \
 && /opt/build/bin/uv pip install --no-cache --python /opt/venv/bin/python --require-hashes -r docker/ingest.lock
COPY pyproject.toml README.md ./
COPY docker/hybrid-search.cdx.json docker/
COPY hybrid_search hybrid_search
COPY mappings mappings
RUN /opt/build/bin/python -m hatchling build -t wheel -d /dist \
 && /opt/build/bin/uv pip install --no-cache --python /opt/venv/bin/python --no-deps /dist/*.whl

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home --uid 10001 search && install -d -o search /models
USER 10001
ENV PATH=/opt/venv/bin:$PATH HF_HOME=/models
VOLUME /models
# What is kept running on this image is healthy while the command starts; whether a cluster answers is its own matter.
HEALTHCHECK --interval=1m --timeout=30s CMD ["hybrid-search", "--version"]
ENTRYPOINT ["hybrid-search"]
CMD ["--help"]
