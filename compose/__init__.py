"""The client half of Shoal: Compose files in, Docker Engine API calls out."""

__version__ = "0.1.0"
