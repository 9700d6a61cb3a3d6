"""The engine half: REST to images, networks, containers, kernel."""
