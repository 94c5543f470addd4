"""Where shops are: one module for each marketplace, which turns its words into ours."""
