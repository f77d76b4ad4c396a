"""The parts of the page for people, tokens, quotas and the audit log."""
