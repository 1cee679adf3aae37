"""What comes from disk and goes to it: tables, times, and files that are replaced whole."""
