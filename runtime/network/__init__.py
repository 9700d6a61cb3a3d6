"""Networks: bridges, addresses, packet filter, published ports and names of containers."""
