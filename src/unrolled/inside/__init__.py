"""What is found inside a trained network, without a picture of it."""
