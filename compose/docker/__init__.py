"""``shoal docker``: commands of the docker command line, one module for each group."""
