"""One module for each revision of the schema; released ones never change."""
