"""Native code for the CPU: from LLVM text to programs that run on all cores.

The run-time, in the order of a kernel's way:

    machine     what the machine offers
    disk        a private folder of verified entries
    target      the CPU that code is made for
    assemble    LLVM text to object code
    loader      object code to memory that may be executed
    code_cache  the functions of kernels: from memory, from disk, or newly compiled
    pool        the threads
    executor    programs: tables of kernels over chunks, each run by one native call
"""
