"""The decision at the door: whether a caller may have a method's answer. `Doors.admit` is the whole of it."""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from conveyor_server.calls import CallContext, Method, MethodTable, Pace
from conveyor_server.doors.file_watch import FileWatch
from conveyor_server.doors.rate import RateLimiter, network_of
from conveyor_server.doors.tokens import Digest, Tokens, digest_in
from conveyor_server.errors import ErrorKind, ServingError
from conveyor_server.groups import Group
from conveyor_server.listening import is_loopback

if TYPE_CHECKING:
    from conveyor_server.settings import ServerSettings

# What sends callers away: no or an unknown token, a token of another group, administration that is closed, no
# certificate, too many calls.
DOORS: Final = ("token", "group", "admin", "certificate", "rate")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the doors stand."""

    # Whether only this machine's own programs reach the server.
    is_local: bool
    # Whether callers are asked for certificates; and whether one stands for a token where tokens are asked for.
    certificates: bool = False
    certificate_suffices: bool = False


class Doors:
    """Looks at each call. `refused` counts, by door, the calls that were sent away."""

    def __init__(self, surroundings: Surroundings, tokens: Tokens, limiter: RateLimiter | None = None) -> None:
        self._surroundings = surroundings
        self.tokens = tokens
        self._limiter = limiter
        self.refused: Counter[str] = Counter()

    def guard_all(self, methods: MethodTable) -> MethodTable:
        """The methods, each behind its door; one that everybody may enter as often as they like has none."""
        return {path: self._guarded(method, self.admit) for path, method in methods.items()}

    def guard_counted(self, methods: MethodTable) -> MethodTable:
        """As `guard_all`, for calls that were admitted before they were read: their rate is not counted again."""
        return {path: self._guarded(method, self._enter) for path, method in methods.items()}

    def is_open(self, group: Group) -> bool:
        """Whether everybody may enter, at any rate."""
        if group is Group.HEALTH:
            return True
        return self._limiter is None and self._needs_nothing(group, certificate=None)

    def admit(self, group: Group, context: CallContext) -> Pace | None:
        """Lets a caller in, and gives the pace at which a stream's messages are read. Raises ServingError."""
        if group is Group.HEALTH:
            return None
        digest, opened = self._token_of(context)
        pace = self._paced(context, digest, opened)
        self._check(group, opened, context.certificate_name, has_token=digest is not None)
        return pace

    async def watch_tokens(self) -> None:
        """Has the token files read again when they change, until cancelled; returns at once where there are none."""
        if self.tokens.paths:
            await FileWatch("tokens", self.tokens.paths, self.tokens.reload).run()

    def check_admin(self, context: CallContext) -> None:
        """For a part of a method that only an administrator may have. Raises ServingError."""
        self._enter(Group.ADMIN, context)

    def _enter(self, group: Group, context: CallContext) -> None:
        """As `admit`, of a call that was counted already."""
        if group is not Group.HEALTH:
            digest, opened = self._token_of(context)
            self._check(group, opened, context.certificate_name, has_token=digest is not None)

    def _token_of(self, context: CallContext) -> tuple[Digest | None, frozenset[Group]]:
        """What the caller sends, and what it opens."""
        digest = digest_in(context.metadata) if self.tokens.closed else None
        return digest, self.tokens.opened_by(digest) if digest else frozenset()

    def _guarded(self, method: Method, enter: Callable[[Group, CallContext], Pace | None]) -> Method:
        group = method.group
        return method if self.is_open(group) else replace(method, guard=lambda context: enter(group, context))

    def _check(self, group: Group, opened: frozenset[Group], certificate: str | None, *, has_token: bool) -> None:
        if group in opened or self._needs_nothing(group, certificate):
            return
        if opened:
            text = f"the token does not open {group.value}; send one that does"
            raise self._refusal("group", ErrorKind.FORBIDDEN, text)
        if group in self.tokens.closed:
            if has_token:
                raise self._refusal("token", ErrorKind.UNAUTHENTICATED, "the token is not known to this server")
            text = f"{group.value} needs a token; send it as 'authorization: Bearer TOKEN' or 'x-api-key: TOKEN'"
            raise self._refusal("token", ErrorKind.UNAUTHENTICATED, text)
        if group is Group.ADMIN:
            text = "administration is closed; start the server with --admin-token-file, or with --tls-client-ca"
            raise self._refusal("admin", ErrorKind.FORBIDDEN, text)
        text = f"{group.value} needs a client certificate, or a token where the server has tokens for it"
        raise self._refusal("certificate", ErrorKind.UNAUTHENTICATED, text)

    def _needs_nothing(self, group: Group, certificate: str | None) -> bool:
        """Whether a caller without a token may enter."""
        around = self._surroundings
        if certificate is not None and around.certificate_suffices and group is not Group.ADMIN:
            return True
        if group in self.tokens.closed:
            return False
        if group is Group.METRICS or certificate is not None:
            return True
        if group is Group.INFERENCE:
            return not around.certificates
        # Somebody who gave tokens to others meant to keep administration to himself.
        return around.is_local and not around.certificates and not self.tokens.closed

    def _paced(self, context: CallContext, digest: Digest | None, opened: frozenset[Group]) -> Pace | None:
        limiter = self._limiter
        if limiter is None:
            return None
        # A token that nobody knows is no name: else each call could bring another.
        key = digest.hex() if digest and opened else context.certificate_name or network_of(context.peer)
        if wait := limiter.take(key):
            text = f"this caller makes too many calls; the next may come in {wait:.3f} seconds"
            raise self._refusal("rate", ErrorKind.TOO_OFTEN, text, math.ceil(wait * 1000))
        is_first = True

        async def pace() -> None:
            # The first message has been counted as the call.
            nonlocal is_first
            if not is_first and (turn := limiter.reserve(key)):
                await asyncio.sleep(turn)
            is_first = False

        return pace

    def _refusal(self, door: str, kind: ErrorKind, text: str, retry_after_ms: int | None = None) -> ServingError:
        self.refused[door] += 1
        return ServingError(kind, text, retry_after_ms=retry_after_ms)


def make_doors(settings: ServerSettings) -> Doors:
    """The doors of a server. Raises StartError for token files that cannot be used."""
    files = {
        Group.INFERENCE: settings.inference_token_file,
        Group.ADMIN: settings.admin_token_file,
        Group.METRICS: settings.metrics_token_file,
    }
    hosts = [settings.host, *([settings.http_host or settings.host] if settings.http else [])]
    surroundings = Surroundings(
        is_local=all(map(is_loopback, hosts)),
        certificates=settings.tls_client_ca is not None,
        certificate_suffices=settings.tls_client_auth == "optional",
    )
    tokens = Tokens({group: path for group, path in files.items() if path is not None}, os.environ)
    limiter = RateLimiter(settings.rate_limit, settings.rate_burst) if settings.rate_limit else None
    return Doors(surroundings, tokens, limiter)
