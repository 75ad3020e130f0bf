"""The first tier: a program is run operator by operator with kernels that serve all sizes, before it is compiled.

What NumPy computes to the same bits (data movement, comparisons, integers, arithmetic that rounds once) it computes;
vector functions, reductions and contractions are NumPy ufuncs made of generated code that takes sizes and strides at
run time, so that they are compiled once for a processor and then lie in the cache.

ufuncs       generated loops as NumPy ufuncs
text         the frame of such a loop
maps         elementwise functions; reductions: the tree of ``cpu/nest.py``; columns: many of them side by side;
             products: other contractions
fused        maps and reductions of rows in one kernel; chains: maps of one shape with several results
matrices     products of matrices, with threads; matrices_text: their kernels
orders       in which order a contraction adds, by its sizes; widths: of vectors and tiles
contractions which order a contraction adds in, and its operands as ``products`` takes them
windows      those under windows as products of matrices; windows_text: their kernel
depthwise    convolutions whose channels do not meet
pools        the gradient of maxima of windows side by side
reading      where an operand is read, through views and padding
operators    a function in the IR as a list of calls
native_steps a function as steps of native code for all sizes; places: what these are; walking: their kernels;
             sizes: what they are told
native_program  steps as one native call
"""
