"""What a reading is, and how what scales and people write becomes one."""
