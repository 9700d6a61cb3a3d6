"""Compose files to a Project, in named phases; see load.py for their order."""
