"""PyTorch's tensors without memory, of which flambeau has none."""
