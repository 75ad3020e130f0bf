"""``torch.distributed.elastic.utils``: what programs of one process use of it."""
