"""Containers: their configuration, their processes and what runs inside them."""
