"""Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718): 70,000 cursive Japanese characters of
ten classes in the format of MNIST."""

from vaejax.data.sets.mnist import ARCHIVES, DRAWN, FILES, SUITS, read  # noqa: F401
