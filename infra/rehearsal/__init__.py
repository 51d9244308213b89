"""The whole service deployed on this machine and driven from outside: `make rehearse` (docs/rehearsal.md)."""
