"""Optimisers of other libraries, each behind one adapter that is imported when it is asked for."""
