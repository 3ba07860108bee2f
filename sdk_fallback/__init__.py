"""Garmin's own FitCSVTool, as a witness of our encoding and as the encoder to fall back on."""
