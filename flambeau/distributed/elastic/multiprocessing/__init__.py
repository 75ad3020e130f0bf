"""``torch.distributed.elastic.multiprocessing``: what programs of one process use of it."""
