# The bill of materials of a built server image, as CycloneDX JSON. From the repository's root:
#   docker build -f deploy/bill.Dockerfile --output type=local,dest=. .
#
# IMAGE  the image to look into
# BASE   a Python 3.11+ image with pip and venv: the one that the image was built on
ARG IMAGE=conveyor-server
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${IMAGE} AS image

FROM ${BASE} AS inventory
RUN python3 -m venv /opt/cyclonedx \
 && /opt/cyclonedx/bin/pip install --quiet --disable-pip-version-check --no-cache-dir 'cyclonedx-bom==7.5.0'
COPY pyproject.toml /source/
COPY --from=image /opt/conveyor /opt/conveyor
RUN /opt/cyclonedx/bin/cyclonedx-py environment --pyproject /source/pyproject.toml --output-reproducible \
      --output-file /conveyor.cdx.json /opt/conveyor/bin/python

FROM scratch
COPY --from=inventory /conveyor.cdx.json /conveyor.cdx.json
