"""A Windows machine as WinRM shows it: a WS-Man host, and the stand-ins for cmd and PowerShell."""
