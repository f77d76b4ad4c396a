"""The public study object and its operations."""
