"""How the modules of a layer are named inside its network, and which names PyTorch keeps for itself."""

from __future__ import annotations

from conveyor_trainer.effects import Effect
from conveyor_trainer.layers import (
    Activation,
    Convolution,
    DepthwiseSeparableConv2D,
    LayerBase,
    MaxPool1D,
    MaxPool2D,
    Residual,
    activation_of,
)

VALUE_SCALE = "value_scale"  # behind the layers of a network that answers with values
# The public attributes of torch.nn.Sequential: a module of such a name could not be reached.
_OF_PYTORCH = """
T_destination add_module append apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches
eval extend extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert ipu
load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
"""
RESERVED_NAMES = frozenset(_OF_PYTORCH.split()) | {VALUE_SCALE}


def module_names(layer: LayerBase, name: str, effect: Effect) -> tuple[str, ...]:
    """Those of the layer named `name`, in their order: padding and activation are modules of their own where needed."""
    names: list[str] = []
    if isinstance(layer, Convolution | MaxPool1D | MaxPool2D) and not all(w.symmetric for w in effect.windows):
        names.append(f"{name}_pad")
    if isinstance(layer, DepthwiseSeparableConv2D):
        names += [f"{name}_depthwise", f"{name}_pointwise"]
    elif getattr(layer, "type", "") != "softmax":  # which is left to the loss
        names.append(name)
    if not isinstance(layer, Activation | Residual) and activation_of(layer) not in ("linear", "softmax"):
        names.append(f"{name}_{activation_of(layer)}")
    return tuple(names)
