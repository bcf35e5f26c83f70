# Ingest with local models on an NVIDIA GPU; it runs on the CPU as well, slower.
#   docker build -f docker/ingest.Dockerfile -t hybrid-search-ingest .
#   docker run --rm --gpus all -v "$PWD:/data" -e HYBRID_SEARCH_URL=... hybrid-search-ingest index /data/docs.jsonl my-index
# PyTorch's wheels for Linux bring their own CUDA libraries: the host needs a driver and the container toolkit only.
# Another base is given by --build-arg BASE=...; it needs Python 3.11 or newer with venv.
ARG BASE=python:3.12-slim
FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir uv
COPY pyproject.toml README.md constraints.txt ./
COPY hybrid_search hybrid_search
COPY mappings mappings
RUN /opt/uv/bin/uv venv --python python3 /opt/venv \
 && /opt/uv/bin/uv pip install --no-cache --python /opt/venv/bin/python --constraint constraints.txt '.[models,aws]'

FROM ${BASE}
COPY --from=build /opt/venv /opt/venv
RUN useradd --create-home search && install -d -o search /models
USER search
ENV PATH=/opt/venv/bin:$PATH HF_HOME=/models
VOLUME /models
ENTRYPOINT ["hybrid-search"]
CMD ["--help"]
