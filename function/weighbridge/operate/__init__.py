"""What the owner of a function does at a terminal."""
