"""Finding a network in the user's own code: FILE_OR_MODULE:FACTORY. Needs torch."""

from torch import nn

from conveyor_contract.errors import UserCodeError
from conveyor_contract.user_code import call_factory, load_named


def load_module(reference: str) -> nn.Module:
    """The network that FACTORY, a function without arguments or a torch.nn.Module, gives.

    FILE is a path that ends in .py; MODULE an importable name. Raises UsageError or UserCodeError.
    """
    found = load_named(reference)
    network = found if isinstance(found, nn.Module) else call_factory(found, reference)
    if not isinstance(network, nn.Module):
        raise UserCodeError(f"{reference} gives a {type(network).__name__}; expected a torch.nn.Module.")
    return network
