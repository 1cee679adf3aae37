"""Pictures of what goes on inside a network, for half a page, light and dark."""
