"""``torch.distributed.elastic``: what programs of one process use of it."""
