"""Errors of matrix products, activations, losses, embeddings and attention: PyTorch 2.13's types and messages."""
# ruff: noqa: E501 - a message is one line

from __future__ import annotations

import builtins
import warnings
from typing import Any

import numpy as np
import pytest

import flambeau as torch
import flambeau.nn.functional as F

CASES = [
    ("F.linear(ones(3, 4), ones(5, 6))", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (3x4 and 6x5)"),
    (
        "F.linear(ones(3, 4), ones(5, 6), ones(5))",
        "RuntimeError",
        "mat1 and mat2 shapes cannot be multiplied (3x4 and 6x5)",
    ),
    (
        "F.linear(ones(3, 4), ones(5, 4), ones(6))",
        "RuntimeError",
        "The expanded size of the tensor (5) must match the existing size (6) at non-singleton dimension 1.  Target sizes: [3, 5].  Tensor sizes: [6]",
    ),
    (
        "F.linear(ones(3, 4), ones(5, 4).double())",
        "RuntimeError",
        "expected m1 and m2 to have the same dtype, but got: float != double",
    ),
    (
        "F.linear(ones(3, 4).double(), ones(5, 4), ones(5))",
        "RuntimeError",
        "mat1 and mat2 must have the same dtype, but got Double and Float",
    ),
    (
        "torch.addbmm(ones(3, 2), ones(1, 3, 4).long(), ones(1, 4, 2))",
        "RuntimeError",
        "mat1 and mat2 must have the same dtype, but got Long and Float",
    ),
    (
        "F.conv2d(ones(2, 1, 4, 4).double(), ones(1, 1, 3, 3))",
        "RuntimeError",
        "expected scalar type Double but found Float",
    ),
    (
        "F.conv2d(ones(2, 1, 4, 4).double(), ones(1, 1, 3, 3), ones(1))",
        "RuntimeError",
        "Input type (double) and bias type (float) should be the same",
    ),
    (
        "F.conv_transpose2d(ones(2, 1, 4, 4).double(), ones(1, 1, 3, 3), ones(1))",
        "RuntimeError",
        "expected scalar type Double but found Float",
    ),
    (
        "F.conv2d(ones(1, 1, 4, 4).bfloat16(), ones(1, 1, 3, 3))",
        "RuntimeError",
        "Input type (CPUBFloat16Type) and weight type (torch.FloatTensor) should be the same or input should be a MKLDNN tensor and weight is a dense tensor",
    ),
    (
        "F.bilinear(ones(3, 4).double(), ones(3, 5), ones(2, 4, 5))",
        "RuntimeError",
        "All tensors must have the same dtype, got input1: double, input2: float, weight: float",
    ),
    ("torch.tensordot(ones(2, 3), ones(3, 2).double(), 1)", "RuntimeError", "both inputs should have same dtype"),
    (
        "F.linear(ones(3, 4), ones(5, 4).double(), ones(5))",
        "RuntimeError",
        "self and mat2 must have the same dtype, but got Float and Double",
    ),
    (
        "F.linear(ones(()), ones(5, 4))",
        "RuntimeError",
        "both arguments to linear need to be at least 1D, but they are 0D and 2D",
    ),
    ("torch.mm(ones(2, 3), ones(4, 5))", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    ("torch.mm(ones(2, 3), ones(3))", "RuntimeError", "mat2 must be a matrix"),
    ("torch.mm(ones(3), ones(3, 2))", "RuntimeError", "self must be a matrix"),
    (
        "torch.mm(ones(2, 3).bool(), ones(3, 2).bool())",
        "NotImplementedError",
        "\"addmm_impl_cpu_\" not implemented for 'Bool'",
    ),
    (
        "torch.mm(ones(2, 3), ones(3, 2).double())",
        "RuntimeError",
        "expected m1 and m2 to have the same dtype, but got: float != double",
    ),
    ("torch.matmul(ones(2, 3), ones(4, 5))", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    (
        "torch.matmul(ones(()), ones(4, 5))",
        "RuntimeError",
        "both arguments to matmul need to be at least 1D, but they are 0D and 2D",
    ),
    (
        "torch.matmul(ones(2, 3, 4), ones(3, 4, 5))",
        "RuntimeError",
        "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0",
    ),
    ("ones(2, 3) @ 3", "TypeError", "unsupported operand type(s) for @: 'Tensor' and 'int'"),
    ("torch.bmm(ones(2, 3), ones(2, 3))", "RuntimeError", "batch1 must be a 3D tensor"),
    (
        "torch.bmm(ones(2, 3, 4), ones(2, 3, 4))",
        "RuntimeError",
        "Expected size for first two dimensions of batch2 tensor to be: [2, 4] but got: [2, 3].",
    ),
    ("torch.bmm(ones(2, 3, 4), ones(2, 4, 3).double())", "RuntimeError", "expected scalar type Float but found Double"),
    ("torch.mv(ones(2, 3), ones(4))", "RuntimeError", "size mismatch, got input (2), mat (2x3), vec (4)"),
    ("torch.mv(ones(2, 3), ones(2, 3))", "RuntimeError", "vector + matrix @ vector expected, got 1, 2, 2"),
    ("torch.dot(ones(2, 3), ones(2, 3))", "RuntimeError", "1D tensors expected, but got 2D and 2D tensors"),
    (
        "torch.dot(ones(2), ones(3))",
        "RuntimeError",
        "inconsistent tensor size, expected tensor [2] and src [3] to have the same number of elements, but got 2 and 3 elements respectively",
    ),
    (
        "torch.dot(ones(2), ones(2).double())",
        "RuntimeError",
        "dot : expected both vectors to have same dtype, but found Float and Double",
    ),
    (
        "torch.vdot(ones(2), ones(3))",
        "RuntimeError",
        "inconsistent tensor size, expected tensor [2] and src [3] to have the same number of elements, but got 2 and 3 elements respectively",
    ),
    ("torch.outer(ones(2, 3), ones(2))", "RuntimeError", "outer: Expected 1-D argument self, but got 2-D"),
    (
        "torch.inner(ones(2, 3), ones(2, 4))",
        "RuntimeError",
        "inner() the last dimension must match on both input tensors but got shapes [2, 3] and [2, 4]",
    ),
    (
        "torch.addmm(ones(7), ones(2, 3), ones(3, 2))",
        "RuntimeError",
        "The expanded size of the tensor (2) must match the existing size (7) at non-singleton dimension 1.  Target sizes: [2, 2].  Tensor sizes: [7]",
    ),
    (
        "torch.addmm(ones(2), ones(2, 3), ones(4, 2))",
        "RuntimeError",
        "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)",
    ),
    (
        "torch.addmm(ones(2).double(), ones(2, 3), ones(3, 2))",
        "RuntimeError",
        "self and mat2 must have the same dtype, but got Double and Float",
    ),
    ("torch.addmv(ones(2), ones(2, 3), ones(2))", "RuntimeError", "size mismatch, got input (2), mat (2x3), vec (2)"),
    ("torch.addr(ones(2, 2), ones(2, 2), ones(2))", "RuntimeError", "addr: Expected 1-D argument vec1, but got 2-D"),
    (
        "torch.baddbmm(ones(3), ones(2, 3, 4), ones(2, 4, 4))",
        "RuntimeError",
        "The expanded size of the tensor (4) must match the existing size (3) at non-singleton dimension 2.  Target sizes: [2, 3, 4].  Tensor sizes: [3]",
    ),
    (
        'torch.einsum("ij,jk", ones(2, 3))',
        "RuntimeError",
        "einsum(): fewer operands were provided than specified in the equation",
    ),
    (
        'torch.einsum("ij", ones(2, 3), ones(2, 3))',
        "RuntimeError",
        "einsum(): more operands were provided than specified in the equation",
    ),
    (
        'torch.einsum("ijk", ones(2, 3))',
        "RuntimeError",
        "einsum(): the number of subscripts in the equation (3) does not match the number of dimensions (2) for operand 0 and no ellipsis was given",
    ),
    (
        'torch.einsum("i1", ones(2, 3))',
        "RuntimeError",
        "einsum(): invalid subscript given at index 1 in the equation string, subscripts must be in [a-zA-Z]",
    ),
    (
        'torch.einsum("ij->ik", ones(2, 3))',
        "RuntimeError",
        "einsum(): output subscript k does not appear in the equation for any input operand",
    ),
    (
        'torch.einsum("ij->ii", ones(2, 3))',
        "RuntimeError",
        "einsum(): output subscript i appears more than once in the output",
    ),
    (
        'torch.einsum("ii", ones(2, 3))',
        "RuntimeError",
        "einsum(): subscript i is repeated for operand 0 but the sizes don't match, 3 != 2",
    ),
    (
        'torch.einsum("ij,jk", ones(2, 3), ones(4, 5))',
        "RuntimeError",
        "einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3",
    ),
    (
        'torch.einsum("..i", ones(2, 3))',
        "RuntimeError",
        "einsum(): found '.' for operand 0 that is not part of any ellipsis",
    ),
    (
        "torch.tensordot(ones(2, 3), ones(2, 4), 2)",
        "RuntimeError",
        "contracted dimensions need to match, but first has size 3 in dim -1 and second has size 4 in dim 1",
    ),
    ("torch.tensordot(ones(2, 3), ones(2, 4), -1)", "RuntimeError", "tensordot expects dims >= 0, but got dims=-1"),
    (
        "F.bilinear(ones(3, 4), ones(3, 5), ones(2, 4, 6))",
        "RuntimeError",
        "bilinear(): input2 size does not match weight size: got 5 but expected 6",
    ),
    ("F.relu(ones(2).bool())", "RuntimeError", "Boolean inputs not supported for relu"),
    ("F.relu6(ones(2).bool())", "RuntimeError", "Bool inputs not supported for hardtanh"),
    ("F.hardtanh(ones(2).byte())", "RuntimeError", "cannot do hardtanh on an unsigned type with negative limits"),
    ("F.hardtanh(ones(2), 2, 1)", "ValueError", "min_val cannot be greater than max_val"),
    ("F.leaky_relu(ones(2).long())", "NotImplementedError", "\"leaky_relu_cpu\" not implemented for 'Long'"),
    ("F.elu(ones(2).long())", "NotImplementedError", "\"elu_cpu\" not implemented for 'Long'"),
    ("F.selu(ones(2).long())", "NotImplementedError", "\"elu_cpu\" not implemented for 'Long'"),
    ("F.celu(ones(2), alpha=0.0)", "RuntimeError", "ZeroDivisionError: alpha cannot be 0 for CELU"),
    ("F.gelu(ones(2).long())", "NotImplementedError", "\"GeluKernelImpl\" not implemented for 'Long'"),
    ('F.gelu(ones(2), approximate="other")', "RuntimeError", "approximate argument must be either none or tanh."),
    ("F.silu(ones(2).long())", "NotImplementedError", "\"silu_cpu\" not implemented for 'Long'"),
    ("F.mish(ones(2).long())", "NotImplementedError", "\"mish_cpu\" not implemented for 'Long'"),
    ("F.softplus(ones(2).long())", "NotImplementedError", "\"softplus_cpu\" not implemented for 'Long'"),
    ("F.logsigmoid(ones(2).long())", "NotImplementedError", "\"log_sigmoid_cpu\" not implemented for 'Long'"),
    ("F.hardswish(ones(2).long())", "NotImplementedError", "\"hardswish_cpu\" not implemented for 'Long'"),
    ("F.hardsigmoid(ones(2).long())", "NotImplementedError", "\"hardsigmoid_cpu\" not implemented for 'Long'"),
    ("F.hardshrink(ones(2).long())", "NotImplementedError", "\"hardshrink_cpu\" not implemented for 'Long'"),
    (
        "F.softshrink(ones(2), -1)",
        "RuntimeError",
        "lambda must be in range [0, 3.40282e+38] for input dtype Float, but found -1",
    ),
    ("F.threshold(ones(2).bool(), 1, 2)", "NotImplementedError", "\"threshold_cpu\" not implemented for 'Bool'"),
    (
        "F.prelu(ones(2, 3), ones(2))",
        "RuntimeError",
        "Mismatch of parameter numbers and input channel size. Found parameter numbers = 2 and channel size = 3.",
    ),
    (
        "F.prelu(ones(2, 3), ones(3).double())",
        "RuntimeError",
        "prelu: Type promoting not supported. Got Float and Double",
    ),
    ("F.glu(ones(3))", "RuntimeError", "Halving dimension must be even, but dimension 0 is size 3"),
    ("F.glu(ones(()))", "RuntimeError", "glu does not support scalars because halving size must be even"),
    ("F.glu(ones(2, 4), 5)", "IndexError", "Dimension out of range (expected to be in range of [-2, 1], but got 5)"),
    (
        "torch.softmax(ones(2, 3).long(), 1)",
        "NotImplementedError",
        "\"softmax_lastdim_kernel_impl\" not implemented for 'Long'",
    ),
    (
        "torch.softmax(ones(2, 3).long(), 0)",
        "NotImplementedError",
        "\"softmax_kernel_impl\" not implemented for 'Long'",
    ),
    (
        "torch.softmax(ones(2, 3), 2)",
        "IndexError",
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
    ),
    (
        "torch.log_softmax(ones(2, 3).long(), 1)",
        "NotImplementedError",
        "\"log_softmax_lastdim_kernel_impl\" not implemented for 'Long'",
    ),
    ("F.cross_entropy(ones(3, 5), tensor([1, 0, 10]))", "IndexError", "Target 10 is out of bounds."),
    ("F.cross_entropy(ones(3, 5), tensor([1, 0, -1]))", "IndexError", "Target -1 is out of bounds."),
    (
        "F.cross_entropy(ones(3, 5), tensor([1, 0]))",
        "ValueError",
        "Expected input batch_size (3) to match target batch_size (2).",
    ),
    (
        "F.cross_entropy(ones(3, 5), tensor([1, 0, 2]).int())",
        "RuntimeError",
        "expected target dtype to be Long or Byte, but got Int",
    ),
    (
        "F.cross_entropy(ones(3, 5), ones(3, 5).long())",
        "RuntimeError",
        "Expected floating point type for target with class probabilities, got Long",
    ),
    (
        "F.cross_entropy(ones(3, 5), tensor([1, 0, 2]), weight=ones(4))",
        "RuntimeError",
        "weight tensor should be defined either for all 5 classes or no classes but got weight tensor of shape: [4]",
    ),
    (
        "F.cross_entropy(ones(3, 5), tensor([1, 0, 2]), label_smoothing=1.5)",
        "RuntimeError",
        "label_smoothing must be between 0.0 and 1.0. Got: 1.5",
    ),
    ("F.cross_entropy(ones(3, 5, 2), tensor([1, 0, 2]))", "RuntimeError", "Expected target size [3, 2], got [3]"),
    ("F.nll_loss(ones(3, 5), tensor([1, 0, 10]))", "IndexError", "Target 10 is out of bounds."),
    (
        "F.nll_loss(ones(3, 5), tensor([[1], [0], [1]]))",
        "RuntimeError",
        "0D or 1D target tensor expected, multi-target not supported",
    ),
    ("F.nll_loss(ones(()), tensor(1))", "ValueError", "Expected 1 or more dimensions (got 0)"),
    (
        'F.nll_loss(ones(3, 5), tensor([1, 0, 2]), reduction="other")',
        "ValueError",
        "other is not a valid value for reduction",
    ),
    (
        "F.nll_loss(ones(3, 5, 2, 2), ones(3, 2).long())",
        "RuntimeError",
        "only batches of spatial targets supported (3D tensors) but got targets of dimension: 2",
    ),
    (
        "F.nll_loss(ones(3, 5, 2, 2), ones(3, 2, 3).long())",
        "RuntimeError",
        "size mismatch (got input: [3, 5, 2, 2] , target: [3, 2, 3]",
    ),
    (
        "F.nll_loss(ones(3, 5).long(), tensor([1, 0, 2]))",
        "NotImplementedError",
        "\"nll_loss_out_frame\" not implemented for 'Long'",
    ),
    (
        "F.mse_loss(ones(2, 3), ones(2, 4))",
        "RuntimeError",
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
    ),
    ("F.mse_loss(ones(2).long(), ones(2).long())", "NotImplementedError", "\"mse_cpu\" not implemented for 'Long'"),
    ('F.mse_loss(ones(2), ones(2), reduction="other")', "ValueError", "other is not a valid value for reduction"),
    ("F.mse_loss(ones(2), ones(2), weight=ones(3))", "ValueError", "Weights and input must have the same size."),
    (
        "F.l1_loss(ones(2, 3), ones(2, 4))",
        "RuntimeError",
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
    ),
    (
        "F.smooth_l1_loss(ones(2), ones(2), beta=-1.0)",
        "RuntimeError",
        "smooth_l1_loss does not support negative values for beta.",
    ),
    (
        "F.smooth_l1_loss(ones(2).long(), ones(2).long())",
        "NotImplementedError",
        "\"smooth_l1_cpu\" not implemented for 'Long'",
    ),
    (
        "F.huber_loss(ones(2), ones(2), delta=-1.0)",
        "RuntimeError",
        "huber_loss does not support non-positive values for delta.",
    ),
    ("F.huber_loss(ones(2).long(), ones(2).long())", "NotImplementedError", "\"huber_cpu\" not implemented for 'Long'"),
    (
        "F.binary_cross_entropy(ones(2), ones(3))",
        "ValueError",
        "Using a target size (torch.Size([3])) that is different to the input size (torch.Size([2])) is deprecated. Please ensure they have the same size.",
    ),
    (
        "F.binary_cross_entropy(tensor([0.5, 1.5]), tensor([0.0, 1.0]))",
        "RuntimeError",
        "all elements of input should be between 0 and 1",
    ),
    (
        "F.binary_cross_entropy(tensor([0.5, 0.5]), tensor([2.0, 1.0]))",
        "RuntimeError",
        "all elements of target should be between 0 and 1",
    ),
    ("F.binary_cross_entropy(ones(2), ones(2).double())", "RuntimeError", "Found dtype Double but expected Float"),
    (
        "F.binary_cross_entropy_with_logits(ones(2), ones(3))",
        "ValueError",
        "Target size (torch.Size([3])) must be the same as input size (torch.Size([2]))",
    ),
    (
        "F.binary_cross_entropy_with_logits(ones(2, 3), ones(2, 3), pos_weight=ones(4))",
        "RuntimeError",
        "The size of tensor a (4) must match the size of tensor b (3) at non-singleton dimension 1",
    ),
    ("F.kl_div(ones(2).long(), ones(2).long())", "RuntimeError", "kl_div: Integral inputs not supported."),
    (
        "F.cosine_similarity(ones(2, 3), ones(2, 4))",
        "RuntimeError",
        "The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1",
    ),
    (
        "F.cosine_similarity(ones(2).long(), ones(2).long(), 0)",
        "RuntimeError",
        "expected common dtype to be floating point, yet common dtype is Long",
    ),
    (
        "F.triplet_margin_loss(ones(2, 3), ones(2, 3), ones(3))",
        "RuntimeError",
        "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: anchor 2D, positive 2D, and negative 1D inputs",
    ),
    (
        "F.triplet_margin_loss(ones(2, 3), ones(2, 3), ones(2, 3), margin=-1)",
        "ValueError",
        "margin must be greater than 0, got -1",
    ),
    (
        "F.margin_ranking_loss(ones(2, 3), ones(3), ones(2, 3))",
        "RuntimeError",
        "margin_ranking_loss : All input tensors should have same dimension but got sizes: input1: torch.Size([2, 3]), input2: torch.Size([3]), target: torch.Size([2, 3]) ",
    ),
    (
        "F.cosine_embedding_loss(ones(2, 3), ones(2, 3), ones(2, 2))",
        "RuntimeError",
        "0D or 1D target tensor expected, multi-target not supported",
    ),
    ("F.multi_margin_loss(ones(2, 3), tensor([0, 3]))", "RuntimeError", "target out of range"),
    (
        "F.multi_margin_loss(ones(2, 3), tensor([0]))",
        "RuntimeError",
        "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). Expected target size [2], but got [1]. Input has shape [2, 3].",
    ),
    ("F.multi_margin_loss(ones(2, 3), tensor([0, 1]), p=3)", "ValueError", "only p == 1 and p == 2 supported"),
    (
        "F.multilabel_margin_loss(ones(1, 3), tensor([[0, 5, -1]]))",
        "RuntimeError",
        "argument #2 'target' is out of range",
    ),
    (
        "F.soft_margin_loss(ones(2).long(), ones(2).long())",
        "RuntimeError",
        "result type Float can't be cast to the desired output type Long",
    ),
    ("F.gaussian_nll_loss(ones(2), ones(2), tensor([-1.0, 1.0]))", "ValueError", "var has negative entry/entries"),
    (
        'F.poisson_nll_loss(ones(2), ones(2), reduction="other")',
        "ValueError",
        "other is not a valid value for reduction",
    ),
    (
        "F.ctc_loss(ones(5, 2, 4), tensor([[1, 2], [3, 1]]), [6, 4], [2, 2])",
        "RuntimeError",
        "Expected input_lengths to have value at most 5, but got value 6 (while checking arguments for ctc_loss_allocate_outputs)",
    ),
    (
        "F.ctc_loss(ones(5, 2, 4), tensor([[1, 2], [3, 1]]), [5], [2, 2])",
        "RuntimeError",
        "input_lengths must be of size batch_size",
    ),
    (
        "F.ctc_loss(ones(5, 2, 4), tensor([[1, 2], [3, 1]]), [5, 4], [2, 2], blank=4)",
        "RuntimeError",
        "blank must be in label range",
    ),
    (
        "F.ctc_loss(ones(5, 2, 4), tensor([1, 2, 3]), [5, 4], [2, 2])",
        "RuntimeError",
        "Expected tensor to have size 4 at dimension 0, but got size 3 for argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)",
    ),
    (
        "F.ctc_loss(ones(5, 2, 4).half(), tensor([[1, 2], [3, 1]]), [5, 4], [2, 2])",
        "NotImplementedError",
        "\"ctc_loss_cpu\" not implemented for 'Half'",
    ),
    ("F.embedding(tensor([5]), ones(5, 3))", "IndexError", "index out of range in self"),
    ("F.embedding(tensor([-1]), ones(5, 3))", "IndexError", "index out of range in self"),
    (
        "F.embedding(tensor([1.0]), ones(5, 3))",
        "RuntimeError",
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got torch.FloatTensor instead (while checking arguments for embedding)",
    ),
    ("F.embedding(tensor([1]), ones(5))", "RuntimeError", "'weight' must be 2-D"),
    (
        "F.embedding(tensor([1]), ones(5, 3), padding_idx=7)",
        "AssertionError",
        "Padding_idx must be within num_embeddings",
    ),
    ("F.embedding_bag(tensor([0, 1]), ones(5, 3))", "ValueError", "offsets has to be a 1D Tensor but got None"),
    (
        "F.embedding_bag(tensor([0, 9]), ones(5, 3), tensor([0]))",
        "RuntimeError",
        "Index 1 of input takes value 9 which is not in the valid range [0, 5)",
    ),
    (
        "F.embedding_bag(tensor([0, 1]), ones(5, 3), tensor([1]))",
        "RuntimeError",
        "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got 1\n[ torch.LongTensor{} ]",
    ),
    (
        'F.embedding_bag(tensor([[0, 1]]), ones(5, 3), mode="other")',
        "ValueError",
        "mode has to be one of sum, mean or max",
    ),
    (
        "F.embedding_bag(tensor([[0, 1]]), ones(5, 3), per_sample_weights=ones(1, 2))",
        "NotImplementedError",
        "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='mean'). Please open a feature request on GitHub.",
    ),
    ("F.one_hot(tensor([0, 2]), 2)", "RuntimeError", "Class values must be smaller than num_classes."),
    ("F.one_hot(tensor([0, -2]))", "RuntimeError", "Class values must be non-negative."),
    ("F.one_hot(tensor([0.0]))", "RuntimeError", "one_hot is only applicable to index tensor of type LongTensor."),
    (
        "F.normalize(ones(2, 3), dim=5)",
        "IndexError",
        "Dimension out of range (expected to be in range of [-2, 1], but got 5)",
    ),
    (
        "torch.cdist(ones(2, 3), ones(2, 4))",
        "RuntimeError",
        "X1 and X2 must have the same number of columns. X1: 3 X2: 4",
    ),
    ("torch.cdist(ones(3), ones(2, 3))", "RuntimeError", "cdist only supports at least 2D tensors, X1 got: 1D"),
    (
        "torch.cdist(ones(2, 3).long(), ones(2, 3).long())",
        "RuntimeError",
        "cdist only supports floating-point dtypes, X1 got: Long",
    ),
    ("torch.cdist(ones(2, 3), ones(2, 3), -1)", "RuntimeError", "cdist only supports non-negative p values"),
    ("F.pdist(ones(3))", "RuntimeError", "pdist only supports 2D tensors, got: 1D"),
    ("F.pdist(ones(2, 3), -1)", "RuntimeError", "pdist only supports non-negative p values"),
    (
        "F.scaled_dot_product_attention(ones(2, 4), ones(2, 4).double(), ones(2, 4))",
        "RuntimeError",
        "Expected query, key, and value to have the same dtype, but got query.dtype: float key.dtype: double and value.dtype: float instead.",
    ),
    (
        "F.scaled_dot_product_attention(ones(4), ones(2, 4), ones(2, 4))",
        "RuntimeError",
        "Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: 1 key.dim: 2 and value.dim: 2 instead.",
    ),
    (
        "F.scaled_dot_product_attention(ones(2, 4), ones(2, 4), ones(2, 4), attn_mask=ones(2, 2).long())",
        "RuntimeError",
        "Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: long int and  query.dtype: float instead.",
    ),
    (
        "F.scaled_dot_product_attention(ones(1, 2, 4), ones(1, 2, 4), ones(1, 2, 4), attn_mask=ones(2, 2), is_causal=True)",
        "RuntimeError",
        "_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True",
    ),
    ("F.dropout(ones(2), 1.5)", "ValueError", "dropout probability has to be between 0 and 1, but got 1.5"),
]


@pytest.mark.parametrize(("source", "kind", "message"), CASES)
def test_error(source, kind, message):
    names = {"torch": torch, "F": F, "ones": torch.ones, "tensor": torch.tensor}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(getattr(builtins, kind)) as caught:
            eval(source, names)
    assert str(caught.value) == message


@pytest.mark.parametrize("wrong", ["abc", None, [1.0]])
def test_what_is_no_tensor_is_refused(wrong: object) -> None:
    for name in ("relu", "gelu"):
        with pytest.raises(TypeError, match=rf"{name}\(\): argument 'input' \(position 1\) must be Tensor, not "):
            getattr(torch.nn.functional, name)(wrong)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.linear("a", x), "linear(): argument 'input' (position 1) must be Tensor, not str"),
        (
            lambda x: F.linear(x, np.ones((2, 3))),
            "linear(): argument 'weight' (position 2) must be Tensor, not numpy.ndarray",
        ),
        (lambda x: F.mse_loss(x, None), "mse_loss(): argument 'target' (position 2) must be Tensor, not NoneType"),
        (lambda x: F.kl_div(x, target=1, reduction="sum"), "kl_div(): argument 'target' must be Tensor, not int"),
        (lambda x: torch.cdist(x, 1), "cdist(): argument 'x2' (position 2) must be Tensor, not int"),
        (lambda x: torch.softmax(x, 0.5), "softmax(): argument 'dim' (position 2) must be int, not float"),
    ],
)
def test_what_is_no_tensor_is_named(call: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        call(torch.ones(2, 3))
    assert str(error.value).split("\n")[0] == message


def test_a_dimension_is_an_integer() -> None:
    for call in (torch.cumsum, torch.logcumsumexp, torch.unsqueeze, torch.softmax):
        with pytest.raises(TypeError, match="argument 'dim'.* must be int, not float"):
            call(torch.ones(2, 3), 0.5)
    assert torch.ones(2, 3).sum(np.int64(1)).tolist() == [3, 3]
    assert torch.ones(2, 3).cumsum(np.int64(1)).tolist() == [[1, 2, 3]] * 2


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (1e20, "value cannot be converted to type int64_t without overflow"),
        (float("inf"), "value cannot be converted to type int64_t without overflow"),
        (float("nan"), "value cannot be converted to type int64_t without overflow"),
        (1e10, r"Storage size calculation overflowed with sizes=\[1, 1, 30000000000, 30000000000\]"),
    ],
)
def test_sizes_beyond_all_memory_are_refused_before_anything_is_made(mode: str, scale: float, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        F.interpolate(torch.ones(1, 1, 3, 3), scale_factor=scale, mode=mode)
