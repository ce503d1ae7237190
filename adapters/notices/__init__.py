"""Notices to applicants: carried by a mail house."""
