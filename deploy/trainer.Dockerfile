# The image that trains and exports. From the repository's root:
#   docker build -f deploy/trainer.Dockerfile -t conveyor-trainer .
#   docker run --rm -v "$PWD/models:/models" conveyor-trainer train mnist_cnn --data digits \
#     --run /training/run --export /models --name digits
# The folder of the models must be writable for the user 65532.
#
# BASE               a Python 3.11+ image with pip and venv
# RUNTIME            cpu or cuda: which ONNX Runtime proves the export
# TORCH_INDEX        an extra package index for torch, for instance PyTorch's CPU index: plain torch brings CUDA along
# SOURCE_DATE_EPOCH  the time, in seconds, that every file gets: equal sources give equal layers
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG TORCH_INDEX=
ARG SOURCE_DATE_EPOCH=1767225600
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proto proto
COPY trainer trainer
COPY exporter exporter
COPY server server
COPY clients clients
# With SOURCE_DATE_EPOCH in its environment, Python names bytecode by its source's digest, not by a time.
RUN python3 -m venv --without-pip /opt/conveyor \
 && python3 -m pip --python /opt/conveyor/bin/python install --quiet -c constraints.txt \
      ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} ".[train,export,${RUNTIME}]" \
 && find /opt/conveyor -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
LABEL org.opencontainers.image.title="conveyor-trainer" \
      org.opencontainers.image.description="Trains image classifiers and exports them to ONNX with proof" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/conveyor /opt/conveyor
ENV PATH=/opt/conveyor/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN mkdir /training /models && chown 65532:65532 /training /models
USER 65532:65532
WORKDIR /training
ENV HOME=/training
ENTRYPOINT ["conveyor"]
CMD ["--help"]
