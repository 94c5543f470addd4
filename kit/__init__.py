"""What every service needs and no domain owns. Imports no service and no vendor."""
