"""What the demo needs besides the product: its media, and how they are made."""
