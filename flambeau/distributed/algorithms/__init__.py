"""Parts of programs of several processes that also work in one."""
