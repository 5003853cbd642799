"""Studios' warehouses and platforms' feeds: captured, conformed, healed; in any order."""
