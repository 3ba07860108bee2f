"""Machines on which FitCSVTool can run."""
