# Python on a base made on this machine: what docker/query.Dockerfile and docker/ingest.Dockerfile can be built on where
# python:3.12-slim cannot be had. Built by build.sh.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
# The authorities that the building machine trusts: the way to its package index may be signed by one of its own.
COPY authorities.pem /etc/ssl/certs/ca-certificates.crt
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
