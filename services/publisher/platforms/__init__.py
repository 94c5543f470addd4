"""One adapter for each platform, and what each platform takes."""
