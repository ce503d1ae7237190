"""Lenders: quotes asked over HTTP, checked against the request, confirmed by a signature."""
