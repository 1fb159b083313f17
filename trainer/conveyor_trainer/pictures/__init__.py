"""Pictures of a run: how it learned, what it gets wrong, what its layers see. `draw_pictures` is the way in."""

from conveyor_trainer.pictures.drawing import PICTURES, Picture, draw_pictures

__all__ = ["PICTURES", "Picture", "draw_pictures"]
