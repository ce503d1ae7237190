"""What requests and answers look like; unknown fields are refused."""
