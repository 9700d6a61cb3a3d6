"""From what is wanted and what is there to a plan, and from the plan to engine calls."""
