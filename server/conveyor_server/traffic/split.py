"""Which requests go to a canary."""

from __future__ import annotations

import hashlib
import random

from conveyor_server.calls import CallContext
from conveyor_server.model import Model
from conveyor_server.traffic.rule import REQUEST_ID, Rule


class Split:
    """A share of a model's requests: by chance, or always the same ones."""

    def __init__(self, rule: Rule, canary: Model) -> None:
        self.canary = canary
        self._share = rule.canary_share
        self._sticky_key = rule.sticky_key

    def takes(self, request_id: str, context: CallContext) -> bool:
        """Whether the request is the canary's."""
        key = self._key(request_id, context)
        return (position_of(self.canary.name, key) if key else random.random()) < self._share  # noqa: S311

    def _key(self, request_id: str, context: CallContext) -> str | bytes:
        if not self._sticky_key:
            return ""
        if self._sticky_key == REQUEST_ID and request_id:
            return request_id
        return context.metadata.get("x-request-id" if self._sticky_key == REQUEST_ID else self._sticky_key, "")


def position_of(model: str, key: str | bytes) -> float:
    """A number from 0 to below 1, equal for equal keys in every process; as a share grows, who is in stays in."""
    text = key.encode() if isinstance(key, str) else key
    digest = hashlib.blake2b(text, digest_size=8, person=model.encode()[:16]).digest()
    # 53 bits are what a float holds.
    return float((int.from_bytes(digest) >> 11) / 2**53)
