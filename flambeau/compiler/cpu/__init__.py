"""Native code for the CPU: from loop nests to programs that run on all cores.

Planning a program:

    execute                    clusters become kernels, or calls of NumPy
    rows, shared_panels        rows that run from end to end on one thread, and weights copied for all of them
    segments, schedule         kernels that go chunk by chunk together, and those side by side
    local, donation            values that stay within a chunk; outputs written in place of inputs
    generating                 texts of kernels, made once for equal nests

The generators of kernels:

    text, points, nest_loops   LLVM text, one point of a nest, loops and chunks: what all share
    nest, nest_choices, nest_maps, nest_reduce, nest_serial, nest_squares    loop nests
    contract, contract_plan, contract_order, contract_loads, contract_tile   products: lanes, tiles, loads
    contract_packing, contract_packed, contract_panels                       large ones, in panels
    contract_direct_plan, contract_direct, contract_planes                   convolutions; depthwise ones
    contract_sources, contract_steps                                         what these copy, and their loops
    recurrence, recurrence_stages, recurrence_kernel                         recurrent layers
    refusing                   the kernel that stops a program whose values are refused
    vector_math                exp, log, tanh and their like

The run-time, in the order of a kernel's way:

    machine     what the machine offers
    disk        a private folder of verified entries
    target      the CPU that code is made for
    assemble    LLVM text to object code; text_parts: long texts in parts that threads compile side by side
    loader      object code to memory that may be executed
    code_cache  the functions of kernels: from memory, from disk, or newly compiled
    pool        the threads; pool_text, segment_text, chunk_text and program_text are their machine code
    executor    programs: tables of kernels over chunks, each run by one native call
    running, between_runs, memory, allocation   one run, and the memory that programs keep
    stored, sent               planned programs on disk; functions of the IR for another process
    inspection, peak           what a program consists of; what the machine can do at most
    first_tier                 kernels that serve all sizes
"""
