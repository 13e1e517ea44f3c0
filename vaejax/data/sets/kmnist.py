"""Kuzushiji-MNIST (Clanuwat et al. 2018, arXiv:1812.01718): 60,000 and 10,000 cursive Japanese
characters of ten classes, in the form of MNIST."""

from vaejax.data.sets.mnist import ARCHIVES, DRAWN, FILES, SUITS, read  # noqa: F401
