"""Adapts optimisers of other libraries; each adapter is imported on first use."""
