"""The command line: `flambeau run`, `flambeau doctor`, and the finder that makes `import torch` mean flambeau."""
