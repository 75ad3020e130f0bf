"""Which operator family has which names of torch and Tensor. Made by scripts/make_operator_index.py."""

from __future__ import annotations

FUNCTIONS: dict[str, str] = {
    "activation": """
    celu celu_ hardshrink prelu selu selu_ threshold threshold_
    """,
    "adaptive_pooling": """
    adaptive_avg_pool1d adaptive_max_pool1d adaptive_max_pool1d_with_indices
    """,
    "arithmetic": """
    add div divide mul multiply rsub sub subtract true_divide
    """,
    "comparison": """
    allclose eq equal fmax fmin ge greater greater_equal gt isclose le less less_equal lt maximum minimum ne not_equal
    """,
    "complex_numbers": """
    _conj _neg_view angle complex conj conj_physical imag polar real resolve_conj resolve_neg
    """,
    "complex_views": """
    view_as_complex view_as_real
    """,
    "conversion": """
    is_complex is_conj is_floating_point is_neg is_nonzero is_signed numel result_type
    """,
    "convolution": """
    conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution
    """,
    "copies": """
    alias_copy as_strided_copy detach_copy diagonal_copy expand_copy narrow_copy permute_copy select_copy slice_copy
    split_copy split_with_sizes_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy unsafe_chunk
    unsafe_split unsafe_split_with_sizes unsqueeze_copy view_as_complex_copy view_as_real_copy view_copy
    """,
    "copying": """
    clone fill zero_
    """,
    "creation": """
    arange empty empty_like empty_strided full full_like ones ones_like zeros zeros_like
    """,
    "ctc": """
    _ctc ctc_loss
    """,
    "diagonals": """
    block_diag diag diag_embed diagflat tril triu
    """,
    "differences": """
    corrcoef cov cumulative_trapezoid diff gradient trapezoid trapz
    """,
    "division": """
    floor_divide fmod remainder
    """,
    "dropout": """
    alpha_dropout alpha_dropout_ dropout dropout_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout
    feature_dropout_ native_dropout rrelu rrelu_
    """,
    "einsum": """
    bilinear chain_matmul einsum tensordot
    """,
    "elimination": """
    det inverse logdet slogdet
    """,
    "embedding": """
    embedding embedding_renorm_ embedding_rows
    """,
    "embedding_bags": """
    embedding_bag embedding_bag_all
    """,
    "extremes": """
    amax amin aminmax argmax argmin max min
    """,
    "fake_quantising": """
    fake_quantize_per_channel_affine fake_quantize_per_tensor_affine
    """,
    "filling": """
    as_strided_scatter diagonal_scatter index_fill masked_fill masked_scatter select_scatter slice_scatter
    """,
    "foreach": """
    _foreach_abs _foreach_abs_ _foreach_acos _foreach_acos_ _foreach_add _foreach_add_ _foreach_addcdiv
    _foreach_addcdiv_ _foreach_addcmul _foreach_addcmul_ _foreach_asin _foreach_asin_ _foreach_atan _foreach_atan_
    _foreach_ceil _foreach_ceil_ _foreach_clamp_max _foreach_clamp_max_ _foreach_clamp_min _foreach_clamp_min_
    _foreach_clone _foreach_copy_ _foreach_cos _foreach_cos_ _foreach_cosh _foreach_cosh_ _foreach_div _foreach_div_
    _foreach_erf _foreach_erf_ _foreach_erfc _foreach_erfc_ _foreach_exp _foreach_exp_ _foreach_expm1 _foreach_expm1_
    _foreach_floor _foreach_floor_ _foreach_frac _foreach_frac_ _foreach_lerp _foreach_lerp_ _foreach_lgamma
    _foreach_lgamma_ _foreach_log _foreach_log10 _foreach_log10_ _foreach_log1p _foreach_log1p_ _foreach_log2
    _foreach_log2_ _foreach_log_ _foreach_max _foreach_maximum _foreach_maximum_ _foreach_minimum _foreach_minimum_
    _foreach_mm _foreach_mul _foreach_mul_ _foreach_neg _foreach_neg_ _foreach_norm _foreach_pow _foreach_pow_
    _foreach_powsum _foreach_reciprocal _foreach_reciprocal_ _foreach_round _foreach_round_ _foreach_rsqrt
    _foreach_rsqrt_ _foreach_sigmoid _foreach_sigmoid_ _foreach_sign _foreach_sign_ _foreach_sin _foreach_sin_
    _foreach_sinh _foreach_sinh_ _foreach_sqrt _foreach_sqrt_ _foreach_sub _foreach_sub_ _foreach_tan _foreach_tan_
    _foreach_tanh _foreach_tanh_ _foreach_trunc _foreach_trunc_ _foreach_zero_
    """,
    "from_data": """
    as_tensor from_numpy tensor
    """,
    "gathering": """
    argwhere gather index_select masked_select nonzero nonzero_static take take_along_dim
    """,
    "grid_sampling": """
    affine_grid_generator grid_sampler grid_sampler_2d grid_sampler_3d
    """,
    "grids": """
    atleast_1d atleast_2d atleast_3d broadcast_shapes broadcast_tensors cartesian_prod combinations dsplit hsplit
    meshgrid vsplit
    """,
    "group_normalisation": """
    group_norm instance_norm rms_norm torch_group_norm torch_instance_norm
    """,
    "hashing": """
    hash_tensor
    """,
    "joining": """
    cat column_stack concat concatenate dstack hstack row_stack stack vstack
    """,
    "least_squares": """
    pinverse
    """,
    "logic": """
    bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor isfinite isinf isnan
    isneginf isposinf isreal logical_and logical_not logical_or logical_xor signbit
    """,
    "low_rank": """
    lobpcg pca_lowrank svd_lowrank
    """,
    "lu": """
    lu lu_solve lu_unpack
    """,
    "matrix_functions": """
    cross dist matrix_exp matrix_power renorm trace
    """,
    "matrix_norms": """
    frobenius_norm nuclear_norm
    """,
    "matrix_products": """
    bmm dot ger inner matmul mm mv outer vdot
    """,
    "matrix_sums": """
    addbmm addmm addmv addmv_ addr baddbmm
    """,
    "normalisation": """
    batch_norm layer_norm
    """,
    "norms": """
    logsumexp norm
    """,
    "orthogonal": """
    geqrf orgqr ormqr qr
    """,
    "padding": """
    constant_pad_nd
    """,
    "pairs": """
    arctan2 atan2 copysign frexp gcd gcd_ heaviside hypot lcm lcm_ ldexp ldexp_ logaddexp logaddexp2 nextafter
    """,
    "permuting": """
    adjoint moveaxis movedim permute swapaxes swapdims t transpose
    """,
    "pointwise": """
    abs abs_ absolute acos acos_ acosh acosh_ arccos arccos_ arccosh arccosh_ arcsin arcsin_ arcsinh arcsinh_ arctan
    arctan_ arctanh arctanh_ asin asin_ asinh asinh_ atan atan_ atanh atanh_ ceil ceil_ cos cos_ cosh cosh_ deg2rad
    deg2rad_ exp exp2 exp2_ exp_ expm1 expm1_ fix fix_ floor floor_ frac frac_ log log10 log10_ log1p log1p_ log2
    log2_ log_ nan_to_num nan_to_num_ neg neg_ negative negative_ positive rad2deg rad2deg_ reciprocal reciprocal_
    relu relu_ round round_ rsqrt rsqrt_ sgn sigmoid sigmoid_ sign sin sin_ sinh sinh_ sqrt sqrt_ tan tan_ tanh tanh_
    trunc trunc_
    """,
    "pooling": """
    avg_pool1d max_pool1d max_pool1d_with_indices max_pool2d max_pool3d
    """,
    "power": """
    float_power pow square square_
    """,
    "putting": """
    index_put index_put_ put
    """,
    "quantiles": """
    bincount histc histogram histogramdd nanquantile quantile
    """,
    "random": """
    get_rng_state initial_seed manual_seed normal rand rand_like randint randint_like randn randn_like randperm seed
    set_rng_state
    """,
    "ranges": """
    _range eye linspace logspace range tril_indices triu_indices vander
    """,
    "rearranging": """
    flip fliplr flipud repeat_interleave roll rot90 tile
    """,
    "recurrent": """
    gru lstm rnn_relu rnn_tanh
    """,
    "reductions": """
    all any count_nonzero mean nanmean nansum prod sum
    """,
    "resizing": """
    resize_as_
    """,
    "sampling": """
    _dirichlet_grad _sample_dirichlet _standard_gamma _standard_gamma_grad bernoulli binomial multinomial poisson
    """,
    "scans": """
    cummax cummin cumprod cumsum logcumsumexp
    """,
    "scattering": """
    index_add index_copy index_reduce scatter scatter_add scatter_reduce
    """,
    "searching": """
    bucketize isin searchsorted unique unique_consecutive
    """,
    "segments": """
    _segment_reduce segment_reduce
    """,
    "shaping": """
    empty_permuted get_device is_same_size kron unravel_index
    """,
    "sharing": """
    asarray from_dlpack frombuffer scalar_tensor
    """,
    "shuffling": """
    channel_shuffle native_channel_shuffle pixel_shuffle pixel_unshuffle
    """,
    "similarity": """
    cdist cosine_similarity pairwise_distance pdist
    """,
    "slicing": """
    diagonal narrow select
    """,
    "softmax": """
    _log_softmax _log_softmax_backward_data _softmax _softmax_backward_data log_softmax softmax
    """,
    "sorting": """
    argsort kthvalue median mode msort nanmedian sort topk
    """,
    "sparsity": """
    hspmm smm sspaddmm
    """,
    "special": """
    digamma erf erf_ erfc erfc_ erfinv i0 i0_ igamma igammac lgamma logit logit_ mvlgamma polygamma sinc sinc_ xlogy
    xlogy_
    """,
    "spectra": """
    svd
    """,
    "spectral": """
    bartlett_window blackman_window hamming_window hann_window istft kaiser_window stft
    """,
    "splitting": """
    chunk split split_with_sizes tensor_split unbind
    """,
    "statistics": """
    std std_mean var var_mean
    """,
    "strided_views": """
    as_strided as_strided_
    """,
    "ternary": """
    addcdiv addcmul clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clip clip_ lerp where
    """,
    "triangular": """
    cholesky cholesky_inverse cholesky_solve triangular_solve
    """,
    "views": """
    broadcast_to detach flatten ravel reshape squeeze unflatten unsqueeze
    """,
}

METHODS: dict[str, str] = {
    "activation": """
    hardshrink prelu
    """,
    "arithmetic": """
    __add__ __div__ __iadd__ __idiv__ __imul__ __isub__ __itruediv__ __mul__ __radd__ __rdiv__ __rmul__ __rsub__
    __rtruediv__ __sub__ __truediv__ add add_ div div_ divide divide_ mul mul_ multiply multiply_ sub sub_ subtract
    subtract_ true_divide true_divide_
    """,
    "comparison": """
    __eq__ __ge__ __gt__ __le__ __lt__ __ne__ allclose eq eq_ equal fmax fmin ge ge_ greater greater_ greater_equal
    greater_equal_ gt gt_ isclose le le_ less less_ less_equal less_equal_ lt lt_ maximum minimum ne ne_ not_equal
    not_equal_
    """,
    "complex_numbers": """
    _conj _neg_view angle conj conj_physical conj_physical_ imag real resolve_conj resolve_neg
    """,
    "conversion": """
    __array_wrap__ __long__ __nonzero__ bfloat16 bool byte cdouble cfloat chalf char double float half int long short
    type
    """,
    "copies": """
    narrow_copy unsafe_chunk unsafe_split unsafe_split_with_sizes
    """,
    "copying": """
    clone contiguous copy_ fill_ to type_as zero_
    """,
    "creation": """
    new_empty new_empty_strided new_full new_ones new_zeros
    """,
    "diagonals": """
    diag diag_embed diagflat tril tril_ triu triu_
    """,
    "differences": """
    corrcoef cov diff
    """,
    "division": """
    __floordiv__ __ifloordiv__ __imod__ __mod__ __rfloordiv__ __rmod__ floor_divide floor_divide_ fmod fmod_ remainder
    remainder_
    """,
    "elimination": """
    det inverse logdet slogdet
    """,
    "extremes": """
    amax amin aminmax argmax argmin max min
    """,
    "filling": """
    as_strided_scatter diagonal_scatter index_fill index_fill_ masked_fill masked_fill_ masked_scatter masked_scatter_
    select_scatter slice_scatter
    """,
    "from_data": """
    new_tensor
    """,
    "gathering": """
    argwhere gather index_select masked_select nonzero nonzero_numpy nonzero_static take take_along_dim
    """,
    "grids": """
    dsplit hsplit vsplit
    """,
    "hashing": """
    hash_tensor
    """,
    "indexing": """
    __getitem__ __setitem__
    """,
    "least_squares": """
    pinverse
    """,
    "logic": """
    __and__ __iand__ __ilshift__ __invert__ __ior__ __irshift__ __ixor__ __lshift__ __or__ __rand__ __rlshift__
    __ror__ __rrshift__ __rshift__ __rxor__ __xor__ bitwise_and bitwise_and_ bitwise_left_shift bitwise_left_shift_
    bitwise_not bitwise_not_ bitwise_or bitwise_or_ bitwise_right_shift bitwise_right_shift_ bitwise_xor bitwise_xor_
    isfinite isinf isnan isneginf isposinf isreal logical_and logical_and_ logical_not logical_not_ logical_or
    logical_or_ logical_xor logical_xor_ signbit
    """,
    "lu": """
    lu lu_solve
    """,
    "matrix_functions": """
    cross dist matrix_exp matrix_power renorm renorm_ trace
    """,
    "matrix_products": """
    __matmul__ __rmatmul__ bmm dot ger inner matmul mm mv outer vdot
    """,
    "matrix_sums": """
    addbmm addbmm_ addmm addmm_ addmv addmv_ addr addr_ baddbmm baddbmm_
    """,
    "norms": """
    logsumexp norm
    """,
    "orthogonal": """
    geqrf orgqr ormqr qr
    """,
    "pairs": """
    arctan2 arctan2_ atan2 atan2_ copysign copysign_ frexp gcd gcd_ heaviside heaviside_ hypot hypot_ lcm lcm_ ldexp
    ldexp_ logaddexp logaddexp2 nextafter nextafter_
    """,
    "permuting": """
    adjoint moveaxis movedim permute swapaxes swapaxes_ swapdims swapdims_ t t_ transpose transpose_
    """,
    "pointwise": """
    __abs__ __neg__ __pos__ abs abs_ absolute absolute_ acos acos_ acosh acosh_ arccos arccos_ arccosh arccosh_ arcsin
    arcsin_ arcsinh arcsinh_ arctan arctan_ arctanh arctanh_ asin asin_ asinh asinh_ atan atan_ atanh atanh_ ceil
    ceil_ cos cos_ cosh cosh_ deg2rad deg2rad_ exp exp2 exp2_ exp_ expm1 expm1_ fix fix_ floor floor_ frac frac_ log
    log10 log10_ log1p log1p_ log2 log2_ log_ nan_to_num nan_to_num_ neg neg_ negative negative_ positive rad2deg
    rad2deg_ reciprocal reciprocal_ relu relu_ round round_ rsqrt rsqrt_ sgn sgn_ sigmoid sigmoid_ sign sign_ sin sin_
    sinh sinh_ sqrt sqrt_ tan tan_ tanh tanh_ trunc trunc_
    """,
    "power": """
    __ipow__ __pow__ __rpow__ float_power float_power_ pow pow_ square square_
    """,
    "putting": """
    index_put index_put_ put put_
    """,
    "quantiles": """
    bincount histc histogram nanquantile quantile
    """,
    "random_fill": """
    bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ uniform_
    """,
    "rearranging": """
    expand_as flip fliplr flipud repeat repeat_interleave roll rot90 tile
    """,
    "reductions": """
    all any count_nonzero mean nanmean nansum prod sum sum_to_size
    """,
    "removed": """
    eig lstsq solve symeig
    """,
    "resizing": """
    resize resize_ resize_as resize_as_
    """,
    "sampling": """
    bernoulli multinomial
    """,
    "scans": """
    cummax cummin cumprod cumprod_ cumsum cumsum_ logcumsumexp
    """,
    "scattering": """
    index_add index_add_ index_copy index_copy_ index_reduce index_reduce_ scatter scatter_ scatter_add scatter_add_
    scatter_reduce scatter_reduce_
    """,
    "searching": """
    unique unique_consecutive
    """,
    "shaping": """
    apply_ dense_dim dim_order fill_diagonal_ get_device is_same_size is_set_to kron map2_ map_ new sparse_dim
    """,
    "slicing": """
    diagonal narrow select unfold
    """,
    "softmax": """
    log_softmax softmax
    """,
    "sorting": """
    argsort kthvalue median mode msort nanmedian sort topk
    """,
    "sparsity": """
    smm sparse_mask sparse_resize_ sparse_resize_and_clear_ sspaddmm to_dense to_sparse to_sparse_bsc to_sparse_bsr
    to_sparse_csc to_sparse_csr
    """,
    "special": """
    digamma digamma_ erf erf_ erfc erfc_ erfinv erfinv_ i0 i0_ igamma igamma_ igammac igammac_ lgamma lgamma_ logit
    logit_ mvlgamma mvlgamma_ polygamma polygamma_ sinc sinc_ xlogy xlogy_
    """,
    "spectra": """
    svd
    """,
    "spectral": """
    istft stft
    """,
    "splitting": """
    chunk split split_with_sizes tensor_split unbind
    """,
    "statistics": """
    std var
    """,
    "strided_views": """
    as_strided as_strided_
    """,
    "ternary": """
    addcdiv addcdiv_ addcmul addcmul_ clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_ clip clip_ lerp lerp_
    where
    """,
    "triangular": """
    cholesky cholesky_inverse cholesky_solve triangular_solve
    """,
    "views": """
    _view broadcast_to detach expand flatten ravel reshape reshape_as squeeze squeeze_ unflatten unsqueeze unsqueeze_
    view view_as
    """,
}
