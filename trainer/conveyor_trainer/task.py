"""What a network is for. Apart from the rest so that settings can name it without loading anything."""

from typing import Literal

Task = Literal["classification", "regression"]
