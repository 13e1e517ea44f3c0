"""What the engine's tests share: see running.py."""

from running import finished, launch

__all__ = ['finished', 'launch']
