"""What the recipe `events` is made of: reading signals, labelling them, and showing it."""
