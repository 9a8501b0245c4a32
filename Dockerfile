# syntax=docker/dockerfile:1
# Build:  docker build -t syncd .
# Run:    docker run -v syncd:/var/lib/syncd -v ./syncd.toml:/etc/syncd/syncd.toml:ro -p 8400:8400 syncd

# ---- build: the wheel, and a virtual environment that holds it
FROM docker.io/library/python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml README.md LICENSE* ./
COPY syncd ./syncd
RUN python -m venv /opt/syncd \
    && pip wheel --no-deps --wheel-dir /wheels . \
    && wheel="$(ls /wheels/syncd-*.whl)" \
    && /opt/syncd/bin/pip install "${wheel}[label-studio]" \
    && /opt/syncd/bin/pip uninstall --yes pip setuptools \
    && find /opt/syncd -name __pycache__ -prune -exec rm -r {} +

# ---- runtime: the environment and a user without rights
FROM docker.io/library/python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 syncd \
    && useradd --system --uid 10001 --gid syncd --home-dir /var/lib/syncd --no-create-home \
        --shell /usr/sbin/nologin syncd \
    && install --directory --owner=syncd --group=syncd --mode=0700 /var/lib/syncd
COPY --from=build /opt/syncd /opt/syncd
# In a container the receiver must listen on all addresses; what is reachable is decided by `-p`.
ENV PATH=/opt/syncd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SYNCD_DATA_DIR=/var/lib/syncd \
    SYNCD_RECEIVER__HOST=0.0.0.0 \
    SYNCD_RECEIVER__ADMIN=0.0.0.0:8401 \
    SYNCD_LOG__FORMAT=json
USER 10001:10001
WORKDIR /var/lib/syncd
VOLUME /var/lib/syncd
# 8401: health and metrics; publish it to whoever watches, not to senders.
EXPOSE 8400 8401
STOPSIGNAL SIGTERM
# /livez tells that the process works, whatever its peers do; a restart would not mend those.
# Another port inside the container: set SYNCD_RECEIVER__PORT, which this check reads too, not [receiver] port.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('SYNCD_RECEIVER__PORT', '8400') + '/livez', timeout=4)"]
ENTRYPOINT ["syncd"]
CMD ["run", "--config", "/etc/syncd/syncd.toml"]
