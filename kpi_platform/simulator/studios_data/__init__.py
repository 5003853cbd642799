"""The warehouses and feeds of the world, and what is true of them."""
