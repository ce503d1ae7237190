# One image for API, workers, operators' commands and the jobs that prepare a database: what runs is
# said by its command. Packages come from the hashed lock file alone.

FROM python:3.11.14-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements/runtime.lock /tmp/runtime.lock
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r /tmp/runtime.lock

FROM python:3.11.14-slim-bookworm
# Nothing is written but below /tmp: the file system of a container may be read-only.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    CAAS_API__HOST=0.0.0.0 \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/tmp/numba \
    MPLCONFIGDIR=/tmp/matplotlib
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin caas
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY models/ models/
COPY activities/ activities/
COPY workflows/ workflows/
COPY adapters/ adapters/
COPY api/ api/
COPY contracts/artifacts/ contracts/artifacts/
COPY deploy/database_roles.py deploy/database_roles.py
COPY settings.py wiring.py worker.py cli.py LICENSE ./
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "api"]
