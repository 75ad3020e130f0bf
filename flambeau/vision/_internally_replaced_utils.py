"""Where packages that were written for torchvision find the function that loads weights by their address."""

from flambeau.hub import load_state_dict_from_url

__all__ = ["load_state_dict_from_url"]
