"""gRPC by Envoy: Envoy speaks HTTP/2, and Python inside its process speaks gRPC over ASGI.

Two processes. The parent (`parent.py`) owns signals, the port and Envoy's configuration. Envoy embeds Python through
the `pyvoy` package and there runs `inside.py`: the same server as with any other engine, over `asgi.py`. Signals and
`sys.executable` are Envoy's in there, so the two talk over a private pair of sockets (`channel.py`).
"""
