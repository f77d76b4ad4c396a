"""The only loop, and what it keeps of a run: claims, proposals, reports, stops, tells."""
