"""Where PyTorch keeps what its code generator made. It is imported for its side effects, of which none is needed."""
