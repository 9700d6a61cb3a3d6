"""The image builder: the Dockerfile language, its stages, its cache and its steps."""
