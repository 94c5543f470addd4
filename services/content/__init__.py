"""Content: the media, and what is made of it, checked and approved."""
