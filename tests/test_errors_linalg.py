"""Errors of torch.linalg, torch.fft and short-time transforms: PyTorch 2.13's types and the first lines of its messages."""
# ruff: noqa: E501 - a message is one line

from __future__ import annotations

import warnings
from typing import Any

import pytest

import flambeau as torch

NAMES: dict[str, Any] = {
    "torch": torch,
    "L": torch.linalg,
    "v": torch.ones(3),
    "w": torch.ones(8),
    "m": torch.ones(2, 3),
    "sq": torch.eye(3),
    "i": torch.ones(3, 3, dtype=torch.int64),
    "h": torch.eye(3).half(),
    "z": torch.zeros(2, 2),
    "bz": torch.stack([torch.eye(2), torch.zeros(2, 2)]),
    "nan": torch.full((2, 2), float("nan")),
}

CASES = [
    ("L.cholesky(v)", "RuntimeError", "linalg.cholesky: The input tensor A must have at least 2 dimensions."),
    (
        "L.cholesky(m)",
        "RuntimeError",
        "linalg.cholesky: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.cholesky(i)",
        "RuntimeError",
        "linalg.cholesky: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.cholesky(h)", "NotImplementedError", "\"cholesky_cpu\" not implemented for 'Half'"),
    (
        "L.cholesky(z)",
        "_LinAlgError",
        "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
    ),
    (
        "L.cholesky(bz)",
        "_LinAlgError",
        "linalg.cholesky: (Batch element 1): The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
    ),
    ("L.cholesky(3)", "TypeError", "linalg_cholesky(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.cholesky()", "TypeError", 'linalg_cholesky() missing 1 required positional arguments: "input"'),
    ("L.cholesky_ex(v)", "RuntimeError", "linalg.cholesky: The input tensor A must have at least 2 dimensions."),
    (
        "L.cholesky_ex(m)",
        "RuntimeError",
        "linalg.cholesky: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.cholesky_ex(i)",
        "RuntimeError",
        "linalg.cholesky: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.cholesky_ex(h)", "NotImplementedError", "\"cholesky_cpu\" not implemented for 'Half'"),
    ("L.cholesky_ex(3)", "TypeError", "linalg_cholesky_ex(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.cholesky_ex()", "TypeError", 'linalg_cholesky_ex() missing 1 required positional arguments: "input"'),
    ("L.inv(v)", "RuntimeError", "linalg.inv: The input tensor A must have at least 2 dimensions."),
    ("L.inv(m)", "RuntimeError", "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("L.inv(i)", "RuntimeError", "linalg.inv: Expected a floating point or complex tensor as input. Got Long"),
    ("L.inv(h)", "RuntimeError", "linalg.inv: Low precision dtypes not supported. Got Half"),
    (
        "L.inv(z)",
        "_LinAlgError",
        "linalg.inv: The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
    ),
    (
        "L.inv(bz)",
        "_LinAlgError",
        "linalg.inv: (Batch element 1): The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
    ),
    ("L.inv(3)", "TypeError", "linalg_inv(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.inv()", "TypeError", 'linalg_inv() missing 1 required positional arguments: "A"'),
    ("L.inv_ex(v)", "RuntimeError", "linalg.inv: The input tensor A must have at least 2 dimensions."),
    ("L.inv_ex(m)", "RuntimeError", "linalg.inv: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("L.inv_ex(i)", "RuntimeError", "linalg.inv: Expected a floating point or complex tensor as input. Got Long"),
    ("L.inv_ex(h)", "RuntimeError", "linalg.inv: Low precision dtypes not supported. Got Half"),
    ("L.inv_ex(3)", "TypeError", "linalg_inv_ex(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.inv_ex()", "TypeError", 'linalg_inv_ex() missing 1 required positional arguments: "A"'),
    ("L.det(v)", "RuntimeError", "linalg.det: The input tensor A must have at least 2 dimensions."),
    ("L.det(m)", "RuntimeError", "linalg.det: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("L.det(i)", "RuntimeError", "linalg.det: Expected a floating point or complex tensor as input. Got Long"),
    ("L.det(h)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Half'"),
    ("L.det(3)", "TypeError", "linalg_det(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.det()", "TypeError", 'linalg_det() missing 1 required positional arguments: "A"'),
    ("L.slogdet(v)", "RuntimeError", "linalg.slogdet: The input tensor A must have at least 2 dimensions."),
    (
        "L.slogdet(m)",
        "RuntimeError",
        "linalg.slogdet: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.slogdet(i)", "RuntimeError", "linalg.slogdet: Expected a floating point or complex tensor as input. Got Long"),
    ("L.slogdet(h)", "RuntimeError", "linalg.slogdet: Low precision dtypes not supported. Got Half"),
    ("L.slogdet(3)", "TypeError", "linalg_slogdet(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.slogdet()", "TypeError", 'linalg_slogdet() missing 1 required positional arguments: "A"'),
    ("L.eig(v)", "RuntimeError", "linalg.eig: The input tensor A must have at least 2 dimensions."),
    ("L.eig(m)", "RuntimeError", "linalg.eig: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("L.eig(i)", "RuntimeError", "Unknown Complex ScalarType for Long"),
    ("L.eig(h)", "NotImplementedError", "\"linalg_eig_out_cpu\" not implemented for 'Half'"),
    ("L.eig(3)", "TypeError", "linalg_eig(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.eig()", "TypeError", 'linalg_eig() missing 1 required positional arguments: "input"'),
    ("L.eigh(v)", "RuntimeError", "linalg.eigh: The input tensor A must have at least 2 dimensions."),
    ("L.eigh(m)", "RuntimeError", "linalg.eigh: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("L.eigh(i)", "NotImplementedError", "\"linalg_eigh_cpu\" not implemented for 'Long'"),
    ("L.eigh(h)", "NotImplementedError", "\"linalg_eigh_cpu\" not implemented for 'Half'"),
    ("L.eigh(3)", "TypeError", "linalg_eigh(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.eigh()", "TypeError", 'linalg_eigh() missing 1 required positional arguments: "input"'),
    ("L.eigvals(v)", "RuntimeError", "linalg.eigvals: The input tensor A must have at least 2 dimensions."),
    (
        "L.eigvals(m)",
        "RuntimeError",
        "linalg.eigvals: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.eigvals(i)", "RuntimeError", "Unknown Complex ScalarType for Long"),
    ("L.eigvals(h)", "NotImplementedError", "\"linalg_eig_out_cpu\" not implemented for 'Half'"),
    ("L.eigvals(3)", "TypeError", "linalg_eigvals(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.eigvals()", "TypeError", 'linalg_eigvals() missing 1 required positional arguments: "input"'),
    ("L.eigvalsh(v)", "RuntimeError", "linalg.eigh: The input tensor A must have at least 2 dimensions."),
    (
        "L.eigvalsh(m)",
        "RuntimeError",
        "linalg.eigh: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.eigvalsh(i)", "NotImplementedError", "\"linalg_eigh_cpu\" not implemented for 'Long'"),
    ("L.eigvalsh(h)", "NotImplementedError", "\"linalg_eigh_cpu\" not implemented for 'Half'"),
    ("L.eigvalsh(3)", "TypeError", "linalg_eigvalsh(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.eigvalsh()", "TypeError", 'linalg_eigvalsh() missing 1 required positional arguments: "input"'),
    ("L.svd(v)", "RuntimeError", "linalg.svd: The input tensor A must have at least 2 dimensions."),
    ("L.svd(i)", "RuntimeError", "linalg.svd: Expected a floating point or complex tensor as input. Got Long"),
    ("L.svd(h)", "NotImplementedError", "\"linalg_svd_cpu\" not implemented for 'Half'"),
    ("L.svd(3)", "TypeError", "linalg_svd(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.svd()", "TypeError", 'linalg_svd() missing 1 required positional arguments: "A"'),
    ("L.svdvals(v)", "RuntimeError", "linalg.svd: The input tensor A must have at least 2 dimensions."),
    ("L.svdvals(i)", "RuntimeError", "linalg.svd: Expected a floating point or complex tensor as input. Got Long"),
    ("L.svdvals(h)", "NotImplementedError", "\"linalg_svd_cpu\" not implemented for 'Half'"),
    ("L.svdvals(3)", "TypeError", "linalg_svdvals(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.svdvals()", "TypeError", 'linalg_svdvals() missing 1 required positional arguments: "A"'),
    ("L.qr(v)", "RuntimeError", "linalg.qr: The input tensor A must have at least 2 dimensions."),
    ("L.qr(i)", "RuntimeError", "linalg.qr: Expected a floating point or complex tensor as input. Got Long"),
    ("L.qr(h)", "NotImplementedError", "\"geqrf_cpu\" not implemented for 'Half'"),
    ("L.qr(3)", "TypeError", "linalg_qr(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.qr()", "TypeError", 'linalg_qr() missing 1 required positional arguments: "A"'),
    ("L.lu(v)", "RuntimeError", "linalg.lu: Expected tensor with 2 or more dimensions. Got size: [3] instead"),
    ("L.lu(i)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Long'"),
    ("L.lu(h)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Half'"),
    ("L.lu(3)", "TypeError", "linalg_lu(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.lu()", "TypeError", 'linalg_lu() missing 1 required positional arguments: "A"'),
    (
        "L.lu_factor(v)",
        "RuntimeError",
        "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: [3] instead",
    ),
    (
        "L.lu_factor(m)",
        "RuntimeError",
        "torch.linalg.lu_factor: U[2,2] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    ),
    ("L.lu_factor(i)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Long'"),
    ("L.lu_factor(h)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Half'"),
    (
        "L.lu_factor(z)",
        "RuntimeError",
        "torch.linalg.lu_factor: U[1,1] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    ),
    (
        "L.lu_factor(bz)",
        "RuntimeError",
        "torch.linalg.lu_factor: (Batch element 1): U[1,1] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    ),
    ("L.lu_factor(3)", "TypeError", "linalg_lu_factor(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.lu_factor()", "TypeError", 'linalg_lu_factor() missing 1 required positional arguments: "A"'),
    (
        "L.lu_factor_ex(v)",
        "RuntimeError",
        "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: [3] instead",
    ),
    ("L.lu_factor_ex(i)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Long'"),
    ("L.lu_factor_ex(h)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Half'"),
    ("L.lu_factor_ex(3)", "TypeError", "linalg_lu_factor_ex(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.lu_factor_ex()", "TypeError", 'linalg_lu_factor_ex() missing 1 required positional arguments: "A"'),
    (
        "L.pinv(v)",
        "RuntimeError",
        "linalg.pinv(Float{[3]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types",
    ),
    (
        "L.pinv(i)",
        "RuntimeError",
        "linalg.pinv(Long{[3, 3]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types",
    ),
    (
        "L.pinv(h)",
        "RuntimeError",
        "linalg.pinv(Half{[3, 3]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types",
    ),
    ("L.matrix_exp(v)", "RuntimeError", "linalg.matrix_exp: The input tensor A must have at least 2 dimensions."),
    (
        "L.matrix_exp(m)",
        "RuntimeError",
        "linalg.matrix_exp: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.matrix_exp(i)",
        "RuntimeError",
        "linalg.matrix_exp: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.matrix_exp(3)", "TypeError", "linalg_matrix_exp(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.matrix_exp()", "TypeError", 'linalg_matrix_exp() missing 1 required positional arguments: "input"'),
    (
        "L.matrix_rank(v)",
        "RuntimeError",
        "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions.",
    ),
    ("L.matrix_rank(i)", "RuntimeError", "This function doesn't handle types other than float and double"),
    ("L.matrix_rank(h)", "RuntimeError", "This function doesn't handle types other than float and double"),
    ("L.cond(v)", "RuntimeError", "linalg.cond: The input tensor must have at least 2 dimensions."),
    ("L.cond(i)", "RuntimeError", "linalg.svd: Expected a floating point or complex tensor as input. Got Long"),
    ("L.cond(h)", "NotImplementedError", "\"linalg_svd_cpu\" not implemented for 'Half'"),
    ("L.cond(3)", "TypeError", "linalg_cond(): argument 'input' (position 1) must be Tensor, not int"),
    (
        "L.ldl_factor(v)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: The input tensor A must have at least 2 dimensions.",
    ),
    (
        "L.ldl_factor(m)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.ldl_factor(i)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.ldl_factor(h)", "NotImplementedError", "\"ldl_factor_kernel_cpu\" not implemented for 'Half'"),
    ("L.ldl_factor(3)", "TypeError", "linalg_ldl_factor(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.ldl_factor()", "TypeError", 'linalg_ldl_factor() missing 1 required positional arguments: "input"'),
    (
        "L.ldl_factor_ex(v)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: The input tensor A must have at least 2 dimensions.",
    ),
    (
        "L.ldl_factor_ex(m)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.ldl_factor_ex(i)",
        "RuntimeError",
        "torch.linalg.ldl_factor_ex: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.ldl_factor_ex(h)", "NotImplementedError", "\"ldl_factor_kernel_cpu\" not implemented for 'Half'"),
    (
        "L.ldl_factor_ex(3)",
        "TypeError",
        "linalg_ldl_factor_ex(): argument 'input' (position 1) must be Tensor, not int",
    ),
    ("L.ldl_factor_ex()", "TypeError", 'linalg_ldl_factor_ex() missing 1 required positional arguments: "input"'),
    ("L.matrix_norm(v)", "RuntimeError", "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."),
    (
        "L.matrix_norm(i)",
        "RuntimeError",
        "linalg.matrix_norm: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.matrix_norm(3)", "TypeError", "linalg_matrix_norm(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.norm(i)", "RuntimeError", "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long"),
    ("L.norm(3)", "TypeError", "linalg_norm(): argument 'input' (position 1) must be Tensor, not int"),
    (
        "L.vector_norm(i)",
        "RuntimeError",
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.vector_norm(3)", "TypeError", "linalg_vector_norm(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.vector_norm()", "TypeError", 'linalg_vector_norm() missing 1 required positional arguments: "input"'),
    ("L.diagonal(v)", "IndexError", "Dimension out of range (expected to be in range of [-1, 0], but got -2)"),
    ("L.diagonal(3)", "TypeError", "linalg_diagonal(): argument 'A' (position 1) must be Tensor, not int"),
    ("L.diagonal()", "TypeError", 'linalg_diagonal() missing 1 required positional arguments: "A"'),
    (
        "L.householder_product(v)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(m)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(i)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(h)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(z)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(bz)",
        "TypeError",
        'linalg_householder_product() missing 1 required positional arguments: "tau"',
    ),
    (
        "L.householder_product(3)",
        "TypeError",
        "linalg_householder_product(): argument 'input' (position 1) must be Tensor, not int",
    ),
    (
        "L.householder_product()",
        "TypeError",
        'linalg_householder_product() missing 2 required positional argument: "input", "tau"',
    ),
    ("L.tensorinv(v)", "RuntimeError", "ArrayRef: invalid slice, N = 2; size = 1"),
    (
        "L.tensorinv(m)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 1 != 6",
    ),
    (
        "L.tensorinv(i)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 1 != 9",
    ),
    (
        "L.tensorinv(h)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 1 != 9",
    ),
    (
        "L.tensorinv(z)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 1 != 4",
    ),
    (
        "L.tensorinv(bz)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 2 != 4",
    ),
    ("L.tensorinv(3)", "TypeError", "linalg_tensorinv(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.tensorinv()", "TypeError", 'linalg_tensorinv() missing 1 required positional arguments: "input"'),
    (
        "L.multi_dot(v)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(m)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(i)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(h)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(z)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(bz)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor",
    ),
    (
        "L.multi_dot(3)",
        "TypeError",
        "linalg_multi_dot(): argument 'tensors' (position 1) must be tuple of Tensors, not int",
    ),
    ("L.multi_dot()", "TypeError", 'linalg_multi_dot() missing 1 required positional arguments: "tensors"'),
    (
        "L.solve(sq,m)",
        "RuntimeError",
        "linalg.solve: Incompatible shapes of A and B for the equation AX = B (3x3 and 2x3)",
    ),
    (
        "L.solve(m,v)",
        "RuntimeError",
        "linalg.solve: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.solve(v,v)", "RuntimeError", "linalg.solve: The input tensor A must have at least 2 dimensions."),
    (
        "L.solve(z,torch.ones(2))",
        "_LinAlgError",
        "torch.linalg.solve: The solver failed because the input matrix is singular.",
    ),
    (
        "L.solve(bz,torch.ones(2,2))",
        "_LinAlgError",
        "torch.linalg.solve: (Batch element 1): The solver failed because the input matrix is singular.",
    ),
    (
        "L.solve(sq,sq.double())",
        "RuntimeError",
        "linalg.solve: Expected A and B to have the same dtype, but found A of type Float and B of type Double instead",
    ),
    ("L.solve(i,i)", "RuntimeError", "linalg.solve: Expected a floating point or complex tensor as input. Got Long"),
    ("L.solve(h,h)", "NotImplementedError", "\"lu_cpu\" not implemented for 'Half'"),
    (
        "L.solve(torch.ones(2,3,3),torch.ones(4,3,3))",
        "RuntimeError",
        "The size of tensor a (4) must match the size of tensor b (2) at non-singleton dimension 0",
    ),
    (
        "L.solve(sq,torch.tensor(1.))",
        "RuntimeError",
        "linalg.solve: The input tensor B must have at least 2 dimensions.",
    ),
    (
        "L.solve_triangular(sq,m,upper=True)",
        "RuntimeError",
        "linalg.solve_triangular: Incompatible shapes of A and B for the equation AX = B (3x3 and 2x3)",
    ),
    (
        "L.solve_triangular(m,m,upper=True)",
        "RuntimeError",
        "linalg.solve_triangular: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "L.solve_triangular(sq,v,upper=True)",
        "RuntimeError",
        "linalg.solve_triangular: The input tensor B must have at least 2 dimensions.",
    ),
    (
        "L.solve_triangular(i,i,upper=True)",
        "NotImplementedError",
        "\"triangular_solve_cpu\" not implemented for 'Long'",
    ),
    ("L.lstsq(sq,m)", "RuntimeError", "torch.linalg.lstsq: input.size(-2) should match other.size(-2)"),
    ("L.lstsq(v,v)", "RuntimeError", "torch.linalg.lstsq: input must have at least 2 dimensions."),
    (
        "L.lstsq(sq,sq,driver='foo')",
        "RuntimeError",
        "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)",
    ),
    (
        "L.lstsq(sq,sq.double())",
        "RuntimeError",
        "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's dtype Float and other's dtype Double",
    ),
    ("L.lstsq(i,i)", "RuntimeError", "This function doesn't handle types other than float and double"),
    ("L.lstsq(h,h)", "RuntimeError", "This function doesn't handle types other than float and double"),
    (
        "L.matrix_power(m,2)",
        "RuntimeError",
        "linalg.matrix_power: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.matrix_power(v,2)", "RuntimeError", "linalg.matrix_power: The input tensor A must have at least 2 dimensions."),
    (
        "L.matrix_power(z,-1)",
        "_LinAlgError",
        "linalg.inv: The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
    ),
    (
        "L.matrix_power(i,-1)",
        "RuntimeError",
        "linalg.inv: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("L.matrix_norm(sq,'foo')", "RuntimeError", "linalg.matrix_norm: Order foo not supported."),
    ("L.matrix_norm(sq,3)", "RuntimeError", "linalg.matrix_norm: Order 3 not supported."),
    ("L.matrix_norm(sq,2,dim=(0,0))", "RuntimeError", "linalg.matrix_norm: dims must be different. Got (0, 0)"),
    ("L.matrix_norm(sq,2,dim=(0,))", "RuntimeError", "linalg.matrix_norm: dim must be a 2-tuple. Got 0"),
    (
        "L.matrix_norm(sq,2,dim=(0,5))",
        "IndexError",
        "Dimension out of range (expected to be in range of [-2, 1], but got 5)",
    ),
    ("L.norm(sq,'foo')", "RuntimeError", "linalg.matrix_norm: Order foo not supported."),
    ("L.norm(v,'fro')", "RuntimeError", "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."),
    ("L.norm(v,'nuc')", "RuntimeError", "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."),
    (
        "L.norm(torch.ones(2,2,2),2)",
        "RuntimeError",
        "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got 3D.",
    ),
    (
        "L.norm(sq,2,dim=(0,1,1))",
        "RuntimeError",
        "linalg.norm: If dim is specified, it must be of length 1 or 2. Got [0, 1, 1]",
    ),
    ("L.norm(sq, 3)", "RuntimeError", "linalg.matrix_norm: Order 3 not supported."),
    (
        "L.vector_norm(torch.ones(0),float('inf'))",
        "RuntimeError",
        "linalg.vector_norm cannot compute the inf norm on an empty tensor because the operation does not have an identity",
    ),
    (
        "L.cond(m,1)",
        "RuntimeError",
        "linalg.cond(ord=1): A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("L.cond(sq,3)", "RuntimeError", "linalg.cond got an invalid norm type: 3"),
    ("L.cond(sq,'foo')", "RuntimeError", "linalg.cond got an invalid norm type: foo"),
    ("L.cross(m,v)", "RuntimeError", "linalg.cross: inputs must have the same number of dimensions."),
    (
        "L.cross(torch.ones(3),torch.ones(2,2,3))",
        "RuntimeError",
        "linalg.cross: inputs must have the same number of dimensions.",
    ),
    (
        "L.cross(torch.ones(2,3),torch.ones(2,3),dim=0)",
        "RuntimeError",
        "linalg.cross: inputs dimension 0 must have length 3. Got 2 and 2",
    ),
    ("torch.cross(torch.ones(2,2),torch.ones(2,2))", "RuntimeError", "no dimension of size 3 in input"),
    (
        "torch.cross(torch.ones(2,3),torch.ones(4,3))",
        "RuntimeError",
        "The size of tensor a (2) must match the size of tensor b (4) at non-singleton dimension 0",
    ),
    ("torch.trace(v)", "RuntimeError", "trace: expected a matrix, but got tensor with dim 1"),
    ("torch.trace(torch.ones(2,2,2))", "RuntimeError", "trace: expected a matrix, but got tensor with dim 3"),
    ("torch.kron(v,1)", "TypeError", "kron(): argument 'other' (position 2) must be Tensor, not int"),
    (
        "L.qr(sq,'foo')",
        "RuntimeError",
        "qr received unrecognized mode 'foo' but expected one of 'reduced' (default), 'r', or 'complete'",
    ),
    (
        "L.svd(sq,driver='gesvd')",
        "RuntimeError",
        "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend.",
    ),
    ("L.eigh(sq,'X')", "RuntimeError", "Expected UPLO argument to be 'L' or 'U', but got X"),
    (
        "L.cholesky(torch.tensor([[1.,2.],[2.,1.]]))",
        "_LinAlgError",
        "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 2 is not positive-definite).",
    ),
    (
        "torch.cholesky(z)",
        "_LinAlgError",
        "cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
    ),
    ("torch.cholesky(v)", "RuntimeError", "cholesky: The input tensor A must have at least 2 dimensions."),
    ("torch.cholesky_solve(v,sq)", "RuntimeError", "b should have at least 2 dimensions, but has 1 dimensions instead"),
    (
        "torch.cholesky_solve(sq,z)",
        "RuntimeError",
        "Incompatible matrix sizes for cholesky_solve: each A matrix is 2 by 2 but each b matrix is 3 by 3",
    ),
    (
        "torch.cholesky_inverse(v)",
        "RuntimeError",
        "cholesky_inverse: The input tensor A must have at least 2 dimensions.",
    ),
    (
        "torch.cholesky_inverse(m)",
        "RuntimeError",
        "cholesky_inverse: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "torch.triangular_solve(v,sq)",
        "RuntimeError",
        "torch.triangular_solve: Expected b to have at least 2 dimensions, but it has 1 dimensions instead",
    ),
    (
        "torch.triangular_solve(m,sq)",
        "RuntimeError",
        "Incompatible matrix sizes for triangular_solve: each A matrix is 3 by 3 but each b matrix is 2 by 3",
    ),
    ("torch.lu_solve(m,sq,v)", "RuntimeError", "linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32"),
    (
        "torch.lu(v)",
        "RuntimeError",
        "torch.lu_factor: Expected tensor with 2 or more dimensions. Got size: [3] instead",
    ),
    (
        "torch.lu_unpack(sq,torch.ones(3))",
        "RuntimeError",
        "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.",
    ),
    (
        "torch.lu_unpack(v,v.int())",
        "RuntimeError",
        "torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: [3] instead",
    ),
    (
        "L.lu_solve(sq,torch.ones(3).int(),m)",
        "RuntimeError",
        "linalg.lu_solve: Incompatible shapes of A and B for the equation AX = B (3x3 and 2x3)",
    ),
    (
        "L.lu_solve(sq,torch.ones(3),sq)",
        "RuntimeError",
        "linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32",
    ),
    (
        "L.lu_solve(sq,torch.ones(2).int(),sq)",
        "RuntimeError",
        "linalg.lu_solve: Number of pivots per batch should be same as the dimension of the matrix",
    ),
    (
        "L.ldl_solve(sq,torch.ones(3).int(),m)",
        "RuntimeError",
        "Incompatible matrix sizes for torch.linalg.ldl_solve: each A matrix is 3 by 3 but each b matrix is 2 by 3",
    ),
    ("torch.logdet(m)", "RuntimeError", "logdet: A must be batches of square matrices, but they are 2 by 3 matrices"),
    ("torch.logdet(v)", "RuntimeError", "logdet: The input tensor A must have at least 2 dimensions."),
    ("torch.det(m)", "RuntimeError", "linalg.det: A must be batches of square matrices, but they are 2 by 3 matrices"),
    (
        "torch.slogdet(m)",
        "RuntimeError",
        "linalg.slogdet: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "torch.inverse(z)",
        "_LinAlgError",
        "linalg.inv: The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
    ),
    (
        "torch.pinverse(v)",
        "RuntimeError",
        "linalg.pinv(Float{[3]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types",
    ),
    ("torch.renorm(v,2,0,1)", "RuntimeError", "renorm: input needs at least 2 dimensions, got 1 dimensions"),
    ("torch.renorm(sq,-1,0,1)", "RuntimeError", "renorm: non-positive-norm not supported"),
    ("torch.renorm(sq,2,0,-1)", "RuntimeError", "renorm: expected maxnorm to be >= 0 but got -1"),
    ("torch.renorm(sq,2,5,1)", "IndexError", "Dimension out of range (expected to be in range of [-2, 1], but got 5)"),
    (
        "torch.renorm(i,2,0,1)",
        "RuntimeError",
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("torch.geqrf(v)", "RuntimeError", "torch.geqrf: input must have at least 2 dimensions."),
    ("torch.geqrf(i)", "NotImplementedError", "\"geqrf_cpu\" not implemented for 'Long'"),
    (
        "torch.orgqr(m,v)",
        "RuntimeError",
        "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to input.shape[-1]",
    ),
    (
        "torch.orgqr(sq,torch.ones(4))",
        "RuntimeError",
        "torch.linalg.householder_product: input.shape[-1] must be greater than or equal to tau.shape[-1]",
    ),
    (
        "torch.orgqr(sq,torch.ones(3).double())",
        "RuntimeError",
        "torch.linalg.householder_product: tau dtype Double does not match input dtype Float",
    ),
    ("torch.ormqr(sq,v,m)", "RuntimeError", "torch.ormqr: other.shape[-2] must be equal to input.shape[-2]"),
    (
        "torch.ormqr(sq,torch.ones(4),sq)",
        "RuntimeError",
        "torch.ormqr: tau.shape[-1] must be equal to min(other.shape[-2], input.shape[-1])",
    ),
    ("L.tensorinv(torch.ones(2,3),ind=0)", "RuntimeError", "Expected a strictly positive integer for 'ind', but got 0"),
    (
        "L.tensorinv(torch.ones(2,3),ind=1)",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got 3 != 2",
    ),
    (
        "L.tensorsolve(torch.ones(2,3),torch.ones(2))",
        "RuntimeError",
        "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got 3 != 2",
    ),
    ("L.multi_dot([sq])", "RuntimeError", "multi_dot(): expected at least 2 tensors but got 1"),
    (
        "L.multi_dot([sq,m])",
        "RuntimeError",
        "multi_dot(): tensors 0 and 1 with shapes [3, 3] and [2, 3] cannot be multiplied",
    ),
    ("L.multi_dot([sq,torch.ones(2,2,2)])", "RuntimeError", "multi_dot(): the last tensor must be 1D or 2D but got 3D"),
    (
        "L.multi_dot([sq,sq.double()])",
        "RuntimeError",
        "multi_dot(): all tensors must have be the same dtype but tensor 0 is float and tensor 1 double",
    ),
    (
        "L.multi_dot([torch.ones(2,2,2),sq])",
        "RuntimeError",
        "multi_dot(): the first tensor must be 1D or 2D but got 3D",
    ),
    (
        "L.vecdot(v,torch.ones(2))",
        "RuntimeError",
        "inconsistent tensor size, expected tensor [3] and src [2] to have the same number of elements, but got 3 and 2 elements respectively",
    ),
    (
        "L.vecdot(v,v.double())",
        "RuntimeError",
        "linalg.vecdot: Expected x and y to have the same dtype, but found x of type Float and y of type Double instead",
    ),
    ("L.vander(torch.tensor(1.))", "RuntimeError", "N must be greater than 1."),
    ("L.vander(v,N=0)", "RuntimeError", "N must be greater than 1."),
    ("L.vander(v,N=1)", "RuntimeError", "N must be greater than 1."),
    (
        "torch.matrix_exp(m)",
        "RuntimeError",
        "linalg.matrix_exp: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    (
        "torch.matrix_exp(i)",
        "RuntimeError",
        "linalg.matrix_exp: Expected a floating point or complex tensor as input. Got Long",
    ),
    ("torch.matrix_power(sq,1.5)", "TypeError", "matrix_power(): argument 'n' (position 2) must be int, not float"),
    (
        "L.inv(sq,out=torch.ones(2,2,dtype=torch.int32))",
        "RuntimeError",
        "Expected out tensor to have dtype float, but got int instead",
    ),
    (
        "L.inv(sq,out=torch.ones(3,3).double())",
        "RuntimeError",
        "Expected out tensor to have dtype float, but got double instead",
    ),
    ("L.qr(sq,out=(sq,))", "TypeError", "expected tuple of 2 elements but got 1"),
    ("torch.frobenius_norm(sq)", "TypeError", 'frobenius_norm() missing 1 required positional arguments: "dim"'),
    (
        "torch.nuclear_norm(v)",
        "RuntimeError",
        "linalg.matrix_norm: The input tensor A must have at least 2 dimensions.",
    ),
    ("torch.norm(sq,'foo')", "RuntimeError", "linalg.matrix_norm: Order foo not supported."),
    (
        "torch.norm(sq,p=2,dim=5)",
        "IndexError",
        "Dimension out of range (expected to be in range of [-2, 1], but got 5)",
    ),
    (
        "torch.norm(i)",
        "RuntimeError",
        "linalg.vector_norm: Expected a floating point or complex tensor as input. Got Long",
    ),
    (
        "torch.svd(v)",
        "RuntimeError",
        "linalg.svd: input should have at least 2 dimensions, but has 1 dimensions instead",
    ),
    ("torch.qr(v)", "RuntimeError", "linalg.qr: The input tensor A must have at least 2 dimensions."),
    ("torch.fft.fft(h)", "RuntimeError", "Unsupported dtype Half"),
    ("torch.fft.fft(w.bfloat16())", "RuntimeError", "Unsupported dtype BFloat16"),
    ("torch.fft.fft(torch.tensor(1.))", "IndexError", "Dimension specified as -1 but tensor has no dimensions"),
    ("torch.fft.fft(w,n=0)", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.fft(w,n=-2)", "RuntimeError", "Invalid number of data points (-2) specified"),
    ("torch.fft.fft(torch.ones(0))", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.fft(w,dim=2)", "IndexError", "Dimension out of range (expected to be in range of [-1, 0], but got 2)"),
    ("torch.fft.fft(w,norm='foo')", "RuntimeError", 'Invalid normalization mode: "foo"'),
    ("torch.fft.rfft(w+0j)", "RuntimeError", "rfft expects a real input tensor, but got ComplexFloat"),
    ("torch.fft.ihfft(w+0j)", "RuntimeError", "ihfft expects a real input tensor, but got ComplexFloat"),
    ("torch.fft.irfft(torch.ones(1))", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.irfft(torch.ones(0))", "RuntimeError", "Invalid number of data points (-2) specified"),
    ("torch.fft.irfft(w,n=0)", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.fft2(w)", "IndexError", "Dimension out of range (expected to be in range of [-1, 0], but got -2)"),
    ("torch.fft.fft2(w,dim=(0,0))", "RuntimeError", "FFT dims must be unique"),
    (
        "torch.fft.fftn(torch.ones(2,2),s=(1,2,3))",
        "RuntimeError",
        "Got shape with 3 values but input tensor only has 2 dimensions.",
    ),
    (
        "torch.fft.fftn(torch.ones(2,2),s=(2,),dim=(0,1))",
        "RuntimeError",
        "When given, dim and shape arguments must have the same length",
    ),
    ("torch.fft.fftn(torch.ones(2,2),s=(0,2))", "RuntimeError", "Invalid number of data points (0) specified"),
    (
        "torch.fft.rfftn(torch.ones(2,2)+0j)",
        "RuntimeError",
        "rfftn expects a real-valued input tensor, but got ComplexFloat",
    ),
    ("torch.fft.irfftn(torch.ones(2,1))", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.fftn(torch.ones(2,2),dim=(0,0))", "RuntimeError", "FFT dims must be unique"),
    ("torch.fft.rfftn(torch.ones(2,2),dim=())", "RuntimeError", "rfftn must transform at least one axis"),
    ("torch.fft.fftshift(torch.tensor(1.))", "RuntimeError", "`shifts` required"),
    (
        "torch.fft.fftshift(torch.arange(4),dim=3)",
        "IndexError",
        "Dimension out of range (expected to be in range of [-1, 0], but got 3)",
    ),
    ("torch.fft.fft('a')", "TypeError", "fft_fft(): argument 'input' (position 1) must be Tensor, not str"),
    ("torch.fft.rfft(torch.ones(0))", "RuntimeError", "Invalid number of data points (0) specified"),
    ("torch.fft.fft(w,out=torch.ones(8))", "RuntimeError", "fft expects a complex output tensor, but got Float"),
    (
        "torch.stft(w,4)",
        "RuntimeError",
        "stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True in a future PyTorch release.",
    ),
    (
        "torch.stft(w,20,return_complex=True)",
        "RuntimeError",
        "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (10, 10) at dimension 2 of input [1, 1, 8]",
    ),
    (
        "torch.stft(w,20,center=False,return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[8], n_fft=20, hop_length=5, win_length=20, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected 0 < n_fft < 8, but got n_fft=20",
    ),
    (
        "torch.stft(w,4,hop_length=0,return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[12], n_fft=4, hop_length=0, win_length=4, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected hop_length > 0, but got hop_length=0",
    ),
    (
        "torch.stft(w,4,win_length=6,return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[12], n_fft=4, hop_length=1, win_length=6, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected 0 < win_length <= n_fft, but got win_length=6",
    ),
    (
        "torch.stft(w,4,window=torch.ones(5),return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[12], n_fft=4, hop_length=1, win_length=4, window=torch.FloatTensor{[5]}, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected a 1D window tensor of size equal to win_length=4, but got window with size [5]",
    ),
    (
        "torch.stft(w,4,window=torch.ones(4,4),return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[12], n_fft=4, hop_length=1, win_length=4, window=torch.FloatTensor{[4, 4]}, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected a 1D window tensor of size equal to win_length=4, but got window with size [4, 4]",
    ),
    (
        "torch.stft(w+0j,4,onesided=True,return_complex=True)",
        "RuntimeError",
        "Cannot have onesided output if window or input is complex",
    ),
    (
        "torch.stft(torch.ones(2,2,8),4,return_complex=True)",
        "RuntimeError",
        "stft(torch.FloatTensor[2, 2, 12], n_fft=4, hop_length=1, win_length=4, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected a 1D or 2D tensor",
    ),
    (
        "torch.stft(i[0],4,return_complex=True)",
        "RuntimeError",
        "stft(torch.LongTensor[7], n_fft=4, hop_length=1, win_length=4, window=None, normalized=0, onesided=None, return_complex=1, align_to_window=None) : expected a tensor of floating point or complex values",
    ),
    (
        "torch.stft(torch.tensor(1.),4,return_complex=True)",
        "RuntimeError",
        "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (2, 2) at dimension 2 of input [1, 1, 1]",
    ),
    ("torch.stft(w,4,return_complex=True,pad_mode='foo')", "NotImplementedError", "Unrecognised padding mode foo"),
    (
        "torch.istft(w,4)",
        "RuntimeError",
        "istft requires a complex-valued input tensor matching the output from stft with return_complex=True.",
    ),
    (
        "torch.istft(torch.ones(3,4),4)",
        "RuntimeError",
        "istft requires a complex-valued input tensor matching the output from stft with return_complex=True.",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,8)",
        "RuntimeError",
        "istft(CPUComplexFloatType[3, 4], n_fft=8, hop_length=2, win_length=8, window=None, center=1, normalized=0, onesided=None, length=None, return_complex=0) : expected the frequency dimension (3rd to the last) of the input tensor to match n_fft / 2 + 1 when onesided=True, but got 3",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,4,hop_length=5)",
        "RuntimeError",
        "istft(CPUComplexFloatType[3, 4], n_fft=4, hop_length=5, win_length=4, window=None, center=1, normalized=0, onesided=None, length=None, return_complex=0) : expected 0 < hop_length <= win_length",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,4,win_length=5)",
        "RuntimeError",
        "istft(CPUComplexFloatType[3, 4], n_fft=4, hop_length=1, win_length=5, window=None, center=1, normalized=0, onesided=None, length=None, return_complex=0) : expected 0 < win_length <= n_fft",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,4,window=torch.hann_window(4),center=False)",
        "RuntimeError",
        "istft(CPUComplexFloatType[3, 4], n_fft=4, hop_length=1, win_length=4, window=torch.FloatTensor{[4]}, center=0, normalized=0, onesided=None, length=None, return_complex=0) window overlap add min: 1",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,4,window=torch.ones(3))",
        "RuntimeError",
        "istft(CPUComplexFloatType[3, 4], n_fft=4, hop_length=1, win_length=4, window=torch.FloatTensor{[3]}, center=1, normalized=0, onesided=None, length=None, return_complex=0) : Invalid window shape. window has to be 1D and length of `win_length`",
    ),
    (
        "torch.istft(torch.ones(0,4)+0j,4)",
        "RuntimeError",
        "istft(CPUComplexFloatType[0, 4], n_fft=4, hop_length=1, win_length=4, window=None, center=1, normalized=0, onesided=None, length=None, return_complex=0) : input tensor cannot be empty.",
    ),
    (
        "torch.istft(torch.ones(3,4)+0j,4,return_complex=True)",
        "RuntimeError",
        "Cannot have onesided output if window or input is complex",
    ),
    ("torch.hann_window(-1)", "RuntimeError", "hann_window requires non-negative window_length, got window_length=-1"),
    (
        "torch.hann_window(4,dtype=torch.int64)",
        "RuntimeError",
        "hann_window expects floating point dtypes, got: TensorOptions(dtype=long int, device=cpu, layout=Strided (default), requires_grad=false (default), pinned_memory=false, memory_format=(nullopt))",
    ),
    ("torch.signal.windows.hann(-1)", "ValueError", "general_cosine requires non-negative window length, got M=-1"),
    (
        "torch.signal.windows.hann(4,dtype=torch.int64)",
        "ValueError",
        "general_cosine expects float32 or float64 dtypes, got: torch.int64",
    ),
    (
        "torch.signal.windows.exponential(4,center=2,sym=True)",
        "ValueError",
        "Center must be None for symmetric windows",
    ),
    ("torch.signal.windows.exponential(4,tau=-1)", "ValueError", "Tau must be positive, got: -1 instead."),
    ("torch.signal.windows.gaussian(4,std=-1)", "ValueError", "Standard deviation must be positive, got: -1 instead."),
    ("torch.signal.windows.kaiser(4,beta=-1)", "ValueError", "beta must be non-negative, got: -1 instead."),
    ("torch.signal.windows.general_cosine(4,a=[])", "ValueError", "Coefficients cannot be empty"),
    ("torch.signal.windows.general_cosine(4,a=3)", "TypeError", "Coefficients must be a list/tuple"),
    (
        "torch.hann_window('a')",
        "TypeError",
        "hann_window(): argument 'window_length' (position 1) must be int, not str",
    ),
    (
        "torch.hann_window(3.5)",
        "TypeError",
        "hann_window(): argument 'window_length' (position 1) must be int, not float",
    ),
    (
        "torch.signal.windows.hann(3,layout=torch.sparse_coo)",
        "ValueError",
        "general_cosine is implemented for strided tensors only, got: torch.sparse_coo",
    ),
    (
        "L.svd(nan)",
        "_LinAlgError",
        "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.",
    ),
    (
        "L.svdvals(nan)",
        "_LinAlgError",
        "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite values.",
    ),
    ("L.eig(nan)", "RuntimeError", "torch.linalg.eig: input tensor should not contain infs or NaNs."),
    (
        "L.cholesky(nan)",
        "_LinAlgError",
        "linalg.cholesky: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
    ),
    (
        "L.qr(torch.ones(3,2,requires_grad=True),'r')[1].sum().backward()",
        "RuntimeError",
        "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr.",
    ),
    (
        "L.qr(torch.ones(3,2,requires_grad=True),'complete')[1].sum().backward()",
        "RuntimeError",
        "The QR decomposition is not differentiable when mode='complete' and nrows > ncols.",
    ),
    (
        "L.solve_triangular(torch.ones(2,3,3),torch.ones(4,3,3),upper=True)",
        "RuntimeError",
        "The size of tensor a (4) must match the size of tensor b (2) at non-singleton dimension 0",
    ),
    (
        "torch.cholesky_solve(torch.ones(2,3,3),torch.ones(4,3,3))",
        "RuntimeError",
        "The size of tensor a (2) must match the size of tensor b (4) at non-singleton dimension 0",
    ),
    (
        "L.lstsq(torch.ones(2,3,3),torch.ones(4,3,3))",
        "RuntimeError",
        "The size of tensor a (2) must match the size of tensor b (4) at non-singleton dimension 0",
    ),
    (
        "L.inv_ex(torch.zeros(2,2),check_errors=True)",
        "_LinAlgError",
        "linalg.inv_ex: The diagonal element 1 is zero, the inversion could not be completed because the input matrix is singular.",
    ),
    (
        "L.cholesky_ex(torch.zeros(2,2),check_errors=True)",
        "_LinAlgError",
        "linalg.cholesky_ex: The factorization could not be completed because the input is not positive-definite (the leading minor of order 1 is not positive-definite).",
    ),
    (
        "L.solve_ex(torch.zeros(2,2),torch.ones(2,2),check_errors=True)",
        "_LinAlgError",
        "torch.linalg.solve_ex: The solver failed because the input matrix is singular.",
    ),
    (
        "L.lu_factor_ex(torch.zeros(2,2),check_errors=True)",
        "RuntimeError",
        "torch.linalg.lu_factor_ex: U[1,1] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)",
    ),
    (
        "L.lu_solve(torch.eye(3),torch.ones(3).int(),torch.ones(3,2).double())",
        "RuntimeError",
        "linalg.lu_solve: Expected LU and B to have the same dtype, but found LU of type Float and B of type Double instead",
    ),
    (
        "L.lu_solve(torch.ones(2,3,3),torch.ones(3).int(),torch.ones(3,2))",
        "RuntimeError",
        "linalg.lu_solve: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape [3] instead",
    ),
    (
        "L.solve(torch.eye(2),torch.ones(2),left=False)",
        "RuntimeError",
        "linalg.solve: Incompatible shapes of A and B for the equation XA = B (2x2 and 2x1)",
    ),
    ("torch.trace(1)", "TypeError", "trace(): argument 'input' (position 1) must be Tensor, not int"),
    ("L.vector_norm(1)", "TypeError", "linalg_vector_norm(): argument 'input' (position 1) must be Tensor, not int"),
    ("torch.logdet(torch.eye(2).half())", "RuntimeError", "logdet: Low precision dtypes not supported. Got Half"),
    ("torch.inverse(1)", "TypeError", "inverse(): argument 'input' (position 1) must be Tensor, not int"),
    (
        "L.cross(torch.ones(3),torch.ones(4))",
        "RuntimeError",
        "linalg.cross: inputs dimension -1 must have length 3. Got 3 and 4",
    ),
    (
        "L.cross(torch.ones(3).bool(),torch.ones(3).bool())",
        "NotImplementedError",
        "\"cross\" not implemented for 'Bool'",
    ),
]


@pytest.mark.parametrize(("expression", "kind", "message"), CASES, ids=[c[0] for c in CASES])
def test_error(expression: str, kind: str, message: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as caught:
            eval(expression, dict(NAMES))
    assert (type(caught.value).__name__, str(caught.value).split("\n")[0]) == (kind, message)


def test_linalg_error_is_a_runtime_error_that_can_be_caught_at_the_call() -> None:
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.inv(torch.zeros(2, 2))
    assert issubclass(torch.linalg.LinAlgError, RuntimeError)


def test_a_failure_leaves_pending_work_alone() -> None:
    x = torch.ones(2, 2) * 3
    y = x + 1
    with pytest.raises(torch.linalg.LinAlgError):
        torch.linalg.cholesky(x - x)
    assert y.tolist() == [[4.0, 4.0], [4.0, 4.0]]


V, M = torch.ones(2), torch.ones(2, 2)


@pytest.mark.parametrize(
    ("equation", "operands", "message"),
    [
        (". ..", (V,), "found '.' for operand 0 that is not part of any ellipsis"),
        ("... ...", (V,), "found '.' for operand 0 for which an ellipsis was already found"),
        ("a->... .", (V,), "found '.' for output but an ellipsis (...) was already found"),
        ("a->..", (V,), "found '.' for output that is not part of any ellipsis (...)"),
        ("a->1", (V,), "invalid subscript given at index 3 in the equation string, subscripts must be in [a-zA-Z]"),
        ("ab->a->b", (M,), "invalid subscript given at index 5 in the equation string, subscripts must be in [a-zA-Z]"),
        ("...,...", (M, torch.ones(2, 3)), "dimension 1 covered by ellipsis in operand 1has size 3 which does not "
         "broadcast with previously seen ellipsis with size 2 for the respective dimension"),
    ],
)  # fmt: skip
def test_equations_that_do_not_fit(equation: str, operands: tuple[Any, ...], message: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.einsum(equation, *operands)
    assert str(caught.value) == f"einsum(): {message}"


def test_equations_that_fit() -> None:
    assert torch.einsum("a b-> b  a", torch.tensor([[1.0, 2], [3, 4]])).tolist() == [[1, 3], [2, 4]]
    assert torch.einsum("... a, ...", M, torch.ones(1)).tolist() == [[1, 1], [1, 1]]
    assert torch.einsum("...,...", torch.ones(1, 0), torch.ones(3, 1)).shape == (3, 0)


@pytest.mark.parametrize("subscript", [-1, 52])
def test_sublists_name_letters(subscript: int) -> None:
    with pytest.raises(ValueError, match=r"subscript in subscript list is not within the valid range \[0, 52\)"):
        torch.einsum(V, [subscript])


@pytest.mark.parametrize(("name", "args"), [("eig", ()), ("symeig", ()), ("solve", (M,)), ("lstsq", (M,))])
def test_removed_methods_say_what_to_use(name: str, args: tuple[Any, ...]) -> None:
    with pytest.raises(RuntimeError, match="deprecated since version 1.9 and is now removed"):
        getattr(M, name)(*args)


@pytest.mark.parametrize("rcond", [0.0, 1.0, 2.0])
def test_gelsd_takes_a_bound_of_its_own_for_what_is_no_part(rcond: float) -> None:
    a, b = torch.diag(torch.tensor([3.0, 2.0, 0.5])), torch.tensor([[1.0], [2.0], [3.0]])
    found = torch.linalg.lstsq(a, b, rcond=rcond, driver="gelsd")
    assert int(found.rank) == 3
    assert torch.allclose(found.solution, torch.tensor([[1 / 3], [1.0], [6.0]]))
