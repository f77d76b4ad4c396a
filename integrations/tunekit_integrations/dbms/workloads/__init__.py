"""Work that servers are measured under."""
