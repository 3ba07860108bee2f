"""Where a proven file goes, and how we know that it arrived."""
