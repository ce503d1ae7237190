"""The certification kit: runs a lender's adapter against one that does everything wrong."""
