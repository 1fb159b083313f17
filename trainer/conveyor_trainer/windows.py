"""The arithmetic of a sliding window along one axis: output size, padding and the formula that a reader can check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conveyor_trainer.errors import LayerMisfit


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window of `kernel` values, `dilation` apart, that moves by `stride` over `size` values and their padding."""

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0  # padding at the start
    after: int = 0  # padding at the end

    @property
    def span(self) -> int:
        """Values from the window's first to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def output(self) -> int:
        """How many places the window takes: floor((n + padding - k) / s) + 1."""
        return (self.size + self.before + self.after - self.span) // self.stride + 1

    @property
    def dropped(self) -> int:
        """Real values at the end that no window reaches, because of the floor."""
        unreached = (self.size + self.before + self.after - self.span) % self.stride
        return max(0, unreached - self.after)

    @property
    def symmetric(self) -> bool:
        """Whether both ends are padded alike."""
        return self.before == self.after

    @property
    def formula(self) -> str:
        """The output's formula with its numbers in it."""
        padding = f"2*{self.before}" if self.symmetric else f"{self.before} + {self.after}"
        return f"floor(({self.size} + {padding} - {self.span})/{self.stride}) + 1 = {self.output}"


def window(
    size: int, kernel: int, *, stride: int, dilation: int = 1, padding: Literal["valid", "same"] | int
) -> Window:
    """The window with its padding worked out. Raises LayerMisfit when it does not fit even once."""
    before, after = _padding(size, dilation * (kernel - 1) + 1, stride, padding)
    result = Window(size=size, kernel=kernel, stride=stride, dilation=dilation, before=before, after=after)
    if result.output < 1:
        raise LayerMisfit(
            f"a window of {result.span} does not fit into {size + before + after}: the shape would vanish; "
            "use a smaller window, padding same, or fewer layers that shrink the image"
        )
    return result


def _padding(size: int, span: int, stride: int, padding: Literal["valid", "same"] | int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":  # Keras: ceil(size / stride) places; what cannot be halved goes to the end
        places = -(-size // stride)
        total = max((places - 1) * stride + span - size, 0)
        return total // 2, total - total // 2
    return padding, padding
