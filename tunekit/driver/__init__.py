"""The main loop of a run and its parts: claims, proposals, reports, stops and tells."""
