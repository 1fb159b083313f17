"""What `conveyor serve` can be told: one class, from which flags, environment and configuration file are made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

from conveyor_server.image_formats import formats_of
from conveyor_server.log_format import LogFormat
from conveyor_server.traffic.configured import parse_rule, texts_of
from conveyor_server.version_policy import parse_policy

MIB = 1024 * 1024
HTTP_PORT = 8002


def default_http_port(given: dict[str, Any]) -> int:
    """A free port beside a free one, else the usual."""
    return 0 if given.get("port") == 0 else HTTP_PORT


class ServerSettings(BaseModel):
    """Settings of one server. Every limit says its unit."""

    repository: Annotated[Path, "positional"] = Field(description="Folder that holds NAME/VERSION/model.onnx.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every network.")
    port: int = Field(8001, ge=0, le=65535, description="gRPC port; 0 takes a free one and prints it.")
    http: bool = Field(True, description="Serve health, metrics, REST and the console over HTTP.")
    http_host: str = Field("", description="Address of the HTTP port; without one that of gRPC.")
    http_port: int = Field(
        default_factory=default_http_port,
        ge=0,
        le=65535,
        description="HTTP port; 0 takes a free one and prints it, and is the default where --port is 0. The same "
        "number as --port: one port carries both (engine envoy only).",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the server's certificate chain: serve over TLS. Read again when it changes."
    )
    tls_key: Path | None = Field(None, description="PEM file with the key of --tls-certificate, without a passphrase.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities whose certificates callers show (mutual TLS)."
    )
    tls_client_auth: Literal["require", "optional"] = Field(
        "require",
        description="With --tls-client-ca. require: no caller without a certificate. optional: without one a caller "
        "needs a token (engine envoy only).",
    )
    http_tls: Literal["same", "server", "off"] = Field(
        "same",
        description="The HTTP port with --tls-certificate. same: as gRPC. server: TLS, without asking for the "
        "caller's certificate. off: plain, for probes on a network of their own.",
    )
    inference_token_file: Path | None = Field(
        None, description="File with the tokens that open inference, one a line. Read again when it changes."
    )
    admin_token_file: Path | None = Field(
        None, description="File with the tokens that open everything, administration included, one a line."
    )
    metrics_token_file: Path | None = Field(
        None, description="File with the tokens that open metrics and statistics, one a line."
    )
    rate_limit: float = Field(
        0.0, ge=0.0, description="Calls, or messages of a stream, a second that one caller may send; 0 for any number."
    )
    rate_burst: int = Field(
        0, ge=0, description="Calls that one caller may send at once under --rate-limit; 0 for a second's worth."
    )
    max_concurrent_streams: int = Field(
        10_000, ge=1, description="Calls at a time on one connection; further ones wait at the caller."
    )
    max_connections: int = Field(
        50_000,
        ge=1,
        description="Connections at a time on each port; further ones are closed. No more than there are file "
        "descriptors for.",
    )
    max_read_seconds: float = Field(
        30.0,
        ge=0.1,
        le=86_400.0,
        description="Seconds in which the headers of a request over HTTP must be there, and then its body, for which "
        "there is a second more for each 64 KiB that have come.",
    )
    image_formats: str = Field(
        "png,jpeg,webp,bmp",
        description="Formats of encoded images that are decoded, of png, jpeg, webp, bmp, gif and tiff.",
    )
    allow_custom_operators: list[Path] = Field(
        default_factory=list,
        description="Library of ONNX operators that models may use; it runs with all rights of the server. May be "
        "given several times.",
    )
    console: bool = Field(
        True,
        description="Serve the console, a page for people, at / of the HTTP port. Where other machines reach that "
        "port, there is one only behind a token or a client certificate.",
    )
    metrics: bool = Field(True, description="Count how requests spread, and show all metrics at /metrics over HTTP.")
    device: Literal["auto", "cpu", "cuda", "tensorrt", "openvino"] = Field(
        "auto",
        description="Where models run. auto: CUDA where it is usable, else CPU. Any other: refuse to start without. "
        "With several workers each takes one of the GPUs in turn.",
    )
    cuda_memory_limit: int = Field(
        0, ge=0, description="Bytes of a GPU's memory for the tensors of one session; 0 for as many as there are."
    )
    cuda_graphs: bool = Field(
        False, description="Record each batch size's run as a CUDA graph: less work for the CPU, more GPU memory."
    )
    tf32: bool = Field(
        False, description="Let GPUs multiply fp32 with TF32's shorter fractions: faster, and less exact."
    )
    engine: Literal["auto", "grpcio", "envoy"] = Field(
        "auto", description="What carries gRPC. auto: Envoy where it is installed and runs, else grpcio."
    )
    require_model: list[str] = Field(
        default_factory=list,
        description="Model that must be served: the server does not start without it, and is not ready without it. "
        "May be given several times. Without any, one model that serves makes the server ready.",
    )
    workers: int = Field(
        1, ge=1, le=256, description="Processes that serve on the one port, each with sessions of its own."
    )
    model_control_mode: Literal["none", "poll", "explicit"] = Field(
        "none",
        description="none: every model is loaded at the start, and stays. poll: what changes in the repository is "
        "taken over. explicit: callers load and unload models, and at the start only those of --load-model are.",
    )
    repository_poll_seconds: float = Field(
        15.0, gt=0.0, le=86_400.0, description="Seconds between two looks with --model-control-mode poll."
    )
    version_policy: str = Field(
        "latest:1", description="Versions of each model that serve: latest:N, all, or specific:1,3."
    )
    load_model: list[str] = Field(
        default_factory=list,
        description="Model to load at the start with --model-control-mode explicit; * for all. May be given several "
        "times, and the server is ready once each serves.",
    )
    max_queue_size: int = Field(1024, ge=1, description="Rows that may wait for each model; more are refused.")
    max_queue_delay: float = Field(
        0.0, ge=0.0, le=60_000.0, description="Milliseconds that a batch waits for company; 0 takes what is there."
    )
    max_images_per_request: int = Field(256, ge=1, description="Images in one Classify call.")
    max_stream_in_flight: int = Field(64, ge=1, description="Images of one stream that are worked on at a time.")
    max_message_bytes: int = Field(64 * MIB, ge=1024, description="Bytes of one message, either way.")
    max_json_bytes: int = Field(
        4 * MIB,
        ge=1024,
        description="Bytes of JSON in one HTTP request; parsing them keeps everybody else waiting, so send large "
        "tensors as binary data.",
    )
    max_pixels: int = Field(64 * MIB, ge=1, description="Pixels of one image, before it is resized.")
    graph_batch_size: int = Field(
        32, ge=1, description="Rows in a batch of a model whose file has no contract; a contract says its own."
    )
    instance_count: int = Field(1, ge=1, le=64, description="Sessions per model that may run at the same time.")
    intra_op_threads: int = Field(
        0, ge=0, description="Threads of one session; 0 shares the CPU quota out among the instances."
    )
    cpu_scheduling: Literal["auto", "usual"] = Field(
        "auto",
        description="auto: while the server uses up its CPUs, with the engine envoy, its threads let each other finish "
        "their turns, which makes more of a core that they share; usual: as the system schedules any process.",
    )
    decode_threads: int = Field(
        0, ge=0, description="Threads that decode large images, for all models; 0 takes one per CPU, 8 at most."
    )
    max_run_seconds: float = Field(
        60.0,
        gt=0.0,
        le=86_400.0,
        description="Seconds after which a run counts as hanging, and its model as not ready.",
    )
    traffic: list[str] = Field(
        default_factory=list,
        description="A model's traffic rule, as mnist:stable=1,shadow=2,min-agreement=0.95 or mnist:stable=1,canary=2,"
        "canary-share=0.1; see docs/safe-change.md. May be given several times.",
    )
    traffic_state: Path | None = Field(
        None,
        description="File in which what is decided about traffic outlives the server: rules that callers set, "
        "promotions, roll-backs. Without it each start begins with --traffic.",
    )
    drift: bool = Field(True, description="Compare what is served with what models were trained on, in a sample.")
    drift_window: float = Field(
        3600.0, gt=0.0, le=31_536_000.0, description="Seconds after which what was served counts half for drift."
    )
    verify_rate: float = Field(
        0.0, ge=0.0, le=1.0, description="Share of the served rows that are run again, each alone, and compared."
    )
    max_worker_silence_seconds: float = Field(
        60.0,
        ge=1.0,
        le=86_400.0,
        description="Seconds that a worker may hang, doing nothing at all; then it is killed, and another takes its "
        "place. With several workers, or the engine envoy.",
    )
    max_load_seconds: float = Field(
        600.0,
        gt=0.0,
        le=86_400.0,
        description="Seconds that a version may take to be opened, warmed and proved; then its load is given up.",
    )
    default_timeout: float = Field(
        0.0,
        ge=0.0,
        le=86_400_000.0,
        description="Milliseconds that a request may wait for its batch when it says nothing sooner itself; 0 for any.",
    )
    drain_delay: float = Field(
        0.0, ge=0.0, description="Seconds that a stopping server still takes requests while its health says no."
    )
    drain_timeout: float = Field(30.0, ge=0.0, description="Seconds to finish what was accepted before the end.")
    expose_golden_samples: bool = Field(
        False, description="Let GetModel return golden samples, which may be real training images."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: LogFormat = Field("text", description="text: lines for people. json: one JSON object a line.")
    log_sample_rate: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Share of the calls that are logged, 0 to 1; above 0 also each that fails, 10 a second per code.",
    )
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector that traces are sent to (OTLP over gRPC), as http://HOST:4317."
    )
    trace_sample_rate: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="Share of the calls that are traced, 0 to 1, where the caller's own trace does not say.",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and re.fullmatch(r"https?://[^\s/]+/?", endpoint) is None:
            raise ValueError(f"{endpoint!r} is not an address as http://localhost:4317")
        return endpoint

    @field_validator("traffic", mode="before")
    @classmethod
    def _rules_as_texts(cls, rules: Any) -> Any:
        return texts_of(rules)

    @field_validator("traffic")
    @classmethod
    def _are_rules(cls, rules: list[str]) -> list[str]:
        names = [parse_rule(rule)[0] for rule in rules]
        if len(set(names)) < len(names):
            raise ValueError("a model has more than one traffic rule; give one")
        return rules

    @field_validator("image_formats")
    @classmethod
    def _are_formats(cls, text: str) -> str:
        formats_of(text)
        return text

    @field_validator("version_policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        parse_policy(text)
        return text

    def in_words(self) -> str:
        """Every setting that is not the default, as NAME=VALUE."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        defaults = {
            name: field.get_default(call_default_factory=True, validated_data=given)
            for name, field in type(self).model_fields.items()
        }
        return " ".join(f"{name}={value}" for name, value in given.items() if value != defaults[name])
