"""Agent `universal`: one trained policy for instruments that it has never seen."""
