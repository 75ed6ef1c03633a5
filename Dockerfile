# SPDX-License-Identifier: Apache-2.0
#
# One image for operator, webhook and relay: the command says which. docs/operations/image.md says how to build
# it, with its SBOM.
#
# The base is a Python >= 3.11 on glibc. The default is a tag, which moves, so that `docker build .` works
# as it is typed; what goes into production is pinned: --build-arg BASE=python:3.11-slim-bookworm@sha256:...
# The label base.name says which it was.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS build
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /build
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY image/install.sh image/
COPY core core
COPY kube kube
COPY operator operator
COPY webhook webhook
COPY collect collect
COPY store store
COPY relay relay
COPY portal portal
COPY cli cli
RUN image/install.sh /opt/cabgate

FROM ${BASE}
ARG BASE
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="cabgate" \
      org.opencontainers.image.description="A change-approval gate for Kubernetes: operator and webhook" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/cabgate /opt/cabgate
# Nothing is written: the root may be read-only, and what could be compiled is.
ENV PATH=/opt/cabgate/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /
CMD ["cabgate", "--help"]
