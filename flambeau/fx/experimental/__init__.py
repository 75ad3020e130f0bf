"""What programs ask PyTorch's tracers about; none of them is there."""
