# One image for all services, and for `hulpketen` against a broker and database elsewhere: `make image`.
# Pin the base by its digest where you build for production (docs/operations/compose.md says how).
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY deploy/docker/requirements.txt deploy/docker/sbom-requirements.txt /build/
# Wheels alone, each with the hash that the repository names: nothing is compiled, so no compiler is needed.
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils >/dev/null
RUN python -m venv /opt/venv \
 && /opt/venv/bin/pip install --quiet --require-hashes --only-binary :all: --requirement /build/requirements.txt \
 && /opt/venv/bin/pip uninstall --quiet --yes pip setuptools \
 && find /opt/venv -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.c' -o -name '*.h' | xargs rm \
# uvloop's wheel carries 12 MB of symbols. Of others, whose libraries were moved into the wheel, strip would break some.
 && strip --strip-unneeded /opt/venv/lib/python3*/site-packages/uvloop/*.so \
# Of public holidays the Dutch ones are asked, and no names: 9 MB of translations and of other countries' bytecode.
 && cd /opt/venv/lib/python3*/site-packages/holidays && rm -r locale && find countries -name '*.pyc' -delete
# What is in it, as CycloneDX: written by a tool that does not come along.
RUN python -m venv /build/sbom \
 && /build/sbom/bin/pip install --quiet --require-hashes --only-binary :all: --requirement /build/sbom-requirements.txt
COPY pyproject.toml /build/
RUN /build/sbom/bin/cyclonedx-py environment --pyproject /build/pyproject.toml --output-reproducible \
    --output-file /opt/sbom.cdx.json /opt/venv/bin/python
COPY contracts/hulpketen_contracts /opt/hulpketen/hulpketen_contracts
COPY services /opt/hulpketen/services
COPY deploy /opt/hulpketen/deploy
COPY cli /opt/hulpketen/cli
COPY deploy/docker/hulpketen /opt/venv/bin/
RUN python -m compileall -q /opt/hulpketen && chmod -R a=rX /opt/hulpketen /opt/sbom.cdx.json \
 && chmod a=rx /opt/venv/bin/hulpketen && mkdir -p /opt/data && chmod 0700 /opt/data

FROM ${PYTHON_IMAGE}
# Neither the base's own installers nor a shell's history of them: what runs here installs nothing.
RUN rm -rf /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/site-packages/setuptools* \
    /usr/local/lib/python3*/site-packages/wheel* /usr/local/lib/python3*/ensurepip /usr/local/bin/pip* \
    /usr/lib/python3/dist-packages/pip* /usr/lib/python3/dist-packages/setuptools* /usr/lib/python3/dist-packages/wheel* \
    /usr/lib/python3*/ensurepip /usr/bin/pip* /usr/share/python-wheels \
 && groupadd --gid 10001 hulpketen \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hulpketen
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/sbom.cdx.json /opt/sbom.cdx.json
COPY --from=build /opt/hulpketen /opt/hulpketen
COPY --from=build --chown=10001:10001 /opt/data /var/lib/hulpketen
# Arenas for each thread would only cost memory, and what a batch took is given back.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/opt/hulpketen PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HTTP_HOST=0.0.0.0 HTTP_PORT=8080 \
    MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=65536 MALLOC_MMAP_THRESHOLD_=65536
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Hulpketen" \
      org.opencontainers.image.description="Chain collaboration for debt prevention, as event-driven services" \
      org.opencontainers.image.licenses="EUPL-1.2" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /opt/hulpketen
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=6 \
    CMD ["python", "-I", "-S", "/opt/hulpketen/deploy/docker/healthcheck.py"]
CMD ["hulpketen", "--help"]
