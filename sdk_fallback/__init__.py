"""Check our encoding with Garmin's FitCSVTool, or let that tool encode instead."""
