"""What operators and support staff do with applications: look, retry, take back."""
