"""Identity: who may. Workspaces, their people, and the API keys that act for them."""
