"""Native code for the CPU: from LLVM text to programs that run on all cores.

target      the CPU that code is made for
assemble    LLVM text to object code
loader      object code to memory that may be executed
code_cache  the functions of kernels, from memory, from disk, or newly compiled
pool        threads, and the executor of program tables
machine     what the machine offers
"""
