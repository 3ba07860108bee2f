"""What a reading is, and how the input of scales and people becomes one."""
