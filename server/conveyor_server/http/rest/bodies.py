"""What comes in as JSON and as query parameters: read by these models, and described by them in the OpenAPI page."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema

from conveyor_server.datatypes import MAX_AXES

INT64_MAX: Final = 2**63 - 1
UINT32_MAX: Final = 2**32 - 1
UINT64_MAX: Final = 2**64 - 1

Size = Annotated[int, Field(ge=0, le=INT64_MAX)]
Parameter = Annotated[Any, WithJsonSchema({"type": ["boolean", "number", "string"]})]
Parameters = dict[str, Parameter]
Data = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {}})]


class Body(BaseModel):
    """A JSON object; members that it does not name are left alone, as the protocol's clients expect."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class InputTensor(Body):
    """A tensor: its values in `data`, or behind the JSON, or in shared memory."""

    name: str
    shape: list[Size] = Field(max_length=MAX_AXES)
    datatype: str
    parameters: Parameters = Field(
        default_factory=dict,
        description="binary_data_size, or shared_memory_region with shared_memory_byte_size and shared_memory_offset.",
    )
    data: Data | None = Field(
        None,
        description='Row-major: flat, or nested as the shape. Elements of BYTES are texts, or {"b64": ...}.',
    )


class RequestedOutput(Body):
    """An output that is wanted, and how."""

    name: str
    parameters: Parameters = Field(
        default_factory=dict,
        description="binary_data, classification (so many classes), or shared_memory_region with its size and offset.",
    )


class InferenceBody(Body):
    """A request to infer."""

    id: str = ""
    parameters: Parameters = Field(
        default_factory=dict, description="timeout (microseconds), priority (1 is the highest), binary_data_output."
    )
    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = Field(default_factory=list, description="All of them when none is named.")


class IndexBody(Body):
    """Which versions the index lists."""

    ready: bool = Field(False, description="Only those that are ready.")


class LoadBody(Body):
    """How a model is loaded."""

    parameters: Parameters = Field(
        default_factory=dict, description="config: a model configuration, as JSON in a text."
    )


class UnloadBody(Body):
    """How a model is unloaded."""

    parameters: Parameters = Field(default_factory=dict, description="unload_dependents changes nothing here.")


class RegionBody(Body):
    """Where a shared memory region is; sizes in bytes."""

    key: str = Field(min_length=1)
    offset: int = Field(0, ge=0, le=UINT64_MAX)
    byte_size: int = Field(ge=1, le=UINT64_MAX)


class SettingsBody(RootModel[dict[str, Any]]):
    """Settings by their names."""

    model_config = ConfigDict(strict=True)


class Query(BaseModel):
    """Parameters of a URL; one that is not known is refused, for it may be a slip."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """No parameters at all."""


class ClassifyQuery(Query):
    """What is asked about the images."""

    model: str = Field(min_length=1, description="The model's name.")
    version: str = Field("", description="Without it the version that serves.")
    top_k: int = Field(1, ge=0, le=UINT32_MAX, description="Predictions per image, most probable first.")
    timeout_ms: int = Field(0, ge=0, le=UINT32_MAX, description="Milliseconds that the request may wait; 0: no limit.")
    request_id: str = Field("", description="Comes back in the answer.")


class ModelsQuery(Query):
    """Which versions are listed."""

    ready: bool = Field(False, description="Only those that are ready.")


class ModelQuery(Query):
    """What is told of a model."""

    golden_samples: bool = Field(False, description="The golden samples too, where the server exposes them.")
