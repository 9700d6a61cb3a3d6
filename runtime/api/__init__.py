"""The REST API: routes and wire formats of the Docker Engine API, and nothing else."""
