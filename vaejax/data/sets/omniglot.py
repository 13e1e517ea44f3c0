"""Omniglot (Lake et al. 2015): handwritten characters of 50 alphabets, 105x105 in three equal
channels. They are read at 28x28 with one channel, as for published densities (Burda et al.
2016)."""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY | {'data.size': 28, 'data.channels': 1}
