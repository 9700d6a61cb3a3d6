"""Client of the Docker Engine API: addresses, connections, HTTP, typed calls."""
