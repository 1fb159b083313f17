# The server image. From the repository's root:
#   docker build -f deploy/server.Dockerfile -t conveyor-server .
#
# BASE               a Python 3.11+ image with pip and venv; both stages use it
# RUNTIME            cpu or cuda: which ONNX Runtime
# ENGINE             grpcio (small, runs everywhere) or envoy (faster for small networks, about 100 MB more)
# SOURCE_DATE_EPOCH  the time, in seconds, that every file gets: equal sources give equal layers
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG ENGINE=grpcio
ARG SOURCE_DATE_EPOCH=1767225600
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proto proto
COPY trainer trainer
COPY exporter exporter
COPY server server
COPY clients clients
# pip works from outside: what is copied holds neither pip nor a compiler, and not numpy's own tests (10 MB).
# Bytecode does not depend on a time, and is there because a read-only container cannot write it later.
RUN python3 -m venv --without-pip /opt/conveyor \
 && EXTRAS="server,tracing,${RUNTIME}$(test "${ENGINE}" = envoy && echo ,envoy || true)" \
 && python3 -m pip --python /opt/conveyor/bin/python install --quiet --no-compile -c constraints.txt ".[${EXTRAS}]" \
 && find /opt/conveyor/lib -type d -path '*/numpy/*' -name tests -prune -exec rm -r {} + \
 && /opt/conveyor/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/conveyor/lib \
 && find /opt/conveyor -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG RUNTIME=cpu
ARG ENGINE=grpcio
LABEL org.opencontainers.image.title="conveyor-server" \
      org.opencontainers.image.description="Serves proved ONNX image classifiers over gRPC in dynamic batches" \
      org.opencontainers.image.licenses="Apache-2.0" \
      conveyor.runtime="${RUNTIME}" \
      conveyor.engine="${ENGINE}"
COPY --from=build /opt/conveyor /opt/conveyor
# In a container every interface is the container's own. The drain delay gives load balancers time to look away.
# The device is the one that the image was made for: a CUDA image without a GPU says so and ends, never on the CPU.
# The NVIDIA variables let the container runtime hand a GPU in; without one they mean nothing.
ENV PATH=/opt/conveyor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CONVEYOR_SERVE_HOST=0.0.0.0 \
    CONVEYOR_SERVE_ENGINE=${ENGINE} \
    CONVEYOR_SERVE_DEVICE=${RUNTIME} \
    CONVEYOR_SERVE_DRAIN_DELAY=5 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 65532:65532
EXPOSE 8001 8002
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=3 CMD ["python", "-m", "conveyor_client.probe"]
ENTRYPOINT ["conveyor", "serve"]
CMD ["/models"]
