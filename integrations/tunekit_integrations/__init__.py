"""Connects tunekit to other tools; each module requires its own extra."""
