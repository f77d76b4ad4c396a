"""What a page changes: each with the caller's own rights, and confirmed where it destroys."""
