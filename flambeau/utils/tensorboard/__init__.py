"""``torch.utils.tensorboard``: what TensorBoard shows, written through the package tensorboardX."""

from .writer import FileWriter as FileWriter
from .writer import SummaryWriter as SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
