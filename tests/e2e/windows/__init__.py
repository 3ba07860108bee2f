"""A Windows machine as WinRM shows it: a WS-Man host, and what stands in there for cmd and PowerShell."""
