"""Random faults on a running stack, by a schedule that a seed decides, and what came of them."""
