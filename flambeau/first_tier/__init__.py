"""The first tier: programs that run operator by operator until compiling them pays.

``by_operator`` runs them, each operator by a plan for its types. Programs that differ in sizes alone (``structure``)
run as one native call (``shared_programs``, planned by ``planning``, of the operators in ``shared_plans``), found again
by ``patterns``, in other processes by ``kept_plans``; those of which that holds in part are split
(``split_programs``), others take what they may of a known one's calls (``other_sizes``), and convolutions those of
more samples (``more_samples``). Chains of maps that come many times in a program become single calls (``chains``). The
kernels are in ``compiler/cpu/first_tier``.
"""
