# The whole gateway in one container. Build: docker build -t smartshare .
# Another base, for example one from your own registry: --build-arg BASE=...
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# Versions are not pinned: the base fixes Debian's release, and its security updates are wanted.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python3 -m venv /opt/build && python3 -m venv /opt/smartshare \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: -r requirements-build.lock \
    && /opt/smartshare/bin/pip install --no-cache-dir --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /opt/wheel . \
    && /opt/smartshare/bin/pip install --no-cache-dir --no-deps /opt/wheel/*.whl \
    && /opt/smartshare/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/smartshare smartshare \
    && install -d -o smartshare -g smartshare -m 0750 /var/lib/smartshare
COPY --from=build /opt/smartshare /opt/smartshare
COPY scripts/docker-entrypoint /opt/smartshare/bin/docker-entrypoint
ENV PATH=/opt/smartshare/bin:$PATH SMARTSHARE_HOME=/var/lib/smartshare PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /var/lib/smartshare
EXPOSE 1883
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["smartshare", "status", "--json"]
ENTRYPOINT ["docker-entrypoint"]
