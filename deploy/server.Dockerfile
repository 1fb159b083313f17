# The server image. From the repository's root:
#   docker build -f deploy/server.Dockerfile -t conveyor-server .
#
# BASE     a Python 3.11+ image with pip and venv; both stages use it
# RUNTIME  cpu or cuda: which ONNX Runtime
# ENGINE   grpcio (small) or envoy (faster for small networks, about 100 MB more)
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG ENGINE=grpcio
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proto proto
COPY trainer trainer
COPY exporter exporter
COPY server server
COPY clients clients
# pip works from outside: the environment that is copied holds neither pip nor a compiler.
RUN python3 -m venv --without-pip /opt/conveyor \
 && EXTRAS="server,${RUNTIME}$(test "${ENGINE}" = envoy && echo ,envoy || true)" \
 && python3 -m pip --python /opt/conveyor/bin/python install --quiet -c constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
ARG ENGINE=grpcio
LABEL org.opencontainers.image.title="conveyor-server" \
      org.opencontainers.image.description="Serves proved ONNX image classifiers over gRPC in dynamic batches" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/conveyor /opt/conveyor
# In a container every interface is the container's own. The drain delay gives load balancers time to look away.
ENV PATH=/opt/conveyor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONVEYOR_SERVE_HOST=0.0.0.0 \
    CONVEYOR_SERVE_ENGINE=${ENGINE} \
    CONVEYOR_SERVE_DRAIN_DELAY=5
USER 65532:65532
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import sys; from conveyor_client import Client; sys.exit(not Client('127.0.0.1:8001', timeout=2).ready())"]
ENTRYPOINT ["conveyor", "serve"]
CMD ["/models"]
