# The image that trains and exports. From the repository's root:
#   docker build -f deploy/trainer.Dockerfile -t conveyor-trainer .
#   docker run --rm -v "$PWD/models:/models" conveyor-trainer train mnist_cnn --data digits \
#     --run /training/run --export /models --name digits
#
# BASE         a Python 3.11+ image with pip and venv
# RUNTIME      cpu or cuda: which ONNX Runtime proves the export
# TORCH_INDEX  an extra package index for torch, for instance PyTorch's CPU index: plain torch brings CUDA along
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG RUNTIME=cpu
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proto proto
COPY trainer trainer
COPY exporter exporter
COPY server server
COPY clients clients
RUN python3 -m venv --without-pip /opt/conveyor \
 && python3 -m pip --python /opt/conveyor/bin/python install --quiet -c constraints.txt \
      ${TORCH_INDEX:+--extra-index-url ${TORCH_INDEX}} ".[train,export,${RUNTIME}]"

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
