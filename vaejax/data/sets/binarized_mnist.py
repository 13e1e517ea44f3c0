"""Binarized MNIST (Salakhutdinov & Murray 2008): one fixed draw of every pixel of MNIST, in splits
of 50,000, 10,000 and 10,000, without labels. TFDS stores it as 0 and 1."""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY | {'data.binarise': 'threshold'}
WHITE = 1
