"""What the recipe `pairs` is made of: its data, its network, its search and its pictures."""
