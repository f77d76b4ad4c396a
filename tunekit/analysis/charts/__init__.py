"""Data of charts: records, and pure functions that compute them from trials and curves."""
