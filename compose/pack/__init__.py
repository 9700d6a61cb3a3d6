"""Make an image out of programs that are installed on this machine, without any registry.

``pack.image.pack`` runs the steps in this order:

1. `programs`: name → file on PATH; a Python is asked for its real executable and standard library,
   a script for the interpreter of its ``#!`` line.
2. `libraries` with `elf`: the shared libraries that each ELF file needs, and theirs (the closure).
3. `system_files`: what a program expects beside it: users, groups, name service, CA certificates,
   time zones, the usual directories.
4. `tree`: all of that as one file tree with the host's paths and symlinks.
5. `archive`: the tree as one layer in a docker-archive; the same input gives the same digest.
"""
