"""Under ``flambeau run`` classes show under PyTorch's module names."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import pickle, torch, torch.nn as nn
x = torch.ones(2, requires_grad=True)
for value in (x, nn.Linear(2, 2), x.shape, x.dtype, nn.Parameter(x), (x * 2).grad_fn, torch.optim.SGD([x], lr=0.1)):
    print(type(value))
print(pickle.loads(pickle.dumps(nn.Linear(2, 2))), pickle.loads(pickle.dumps(x)))
"""
EXPECTED = """\
<class 'torch.Tensor'>
<class 'torch.nn.modules.linear.Linear'>
<class 'torch.Size'>
<class 'torch.dtype'>
<class 'torch.nn.parameter.Parameter'>
<class 'MulBackward0'>
<class 'torch.optim.sgd.SGD'>
Linear(in_features=2, out_features=2, bias=True) tensor([1., 1.], requires_grad=True)
"""


def test_types_print_as_in_pytorch() -> None:
    command = [sys.executable, "-m", "flambeau", "run", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == EXPECTED, done.stderr
