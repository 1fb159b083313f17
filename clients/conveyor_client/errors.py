"""The client's exceptions: one sentence each, with the server's address and what to do."""
# ruff: noqa: N818 - callers read `except Overloaded`, as they do `except grpc.RpcError`'s status names


class ConveyorClientError(Exception):
    """Base of everything that this package raises on purpose; str() is one clear sentence."""

    exit_code = 1


class InvalidImage(ConveyorClientError):
    """The image cannot be used: not readable here, or refused by the server."""


class InvalidRequest(ConveyorClientError):
    """The server refused the request for a reason other than an image, such as a missing model name."""


class ModelNotFound(ConveyorClientError):
    """The server has no such model or version."""


class ServerUnavailable(ConveyorClientError):
    """Nothing answers at the address, or the model is not ready there."""


class InsecureConnection(ServerUnavailable):
    """Something answers at the address, but TLS does not come about: a certificate or its name is wrong."""


class AccessDenied(ConveyorClientError):
    """The server does not accept the token, or does not allow its holder this."""


class Overloaded(ConveyorClientError):
    """The server's queue is full, and stayed full through every retry."""


class DeadlineExceeded(ConveyorClientError):
    """No answer came within the timeout."""


class ServerError(ConveyorClientError):
    """The server failed, or answered something that is no answer."""
