"""Counts agree with their nouns and verbs."""

from vaejax.plural import counted


def test_counts_agree_with_their_nouns():
  assert [counted(n, 'row') for n in (0, 1, 2, 1200)] == ['0 rows', '1 row', '2 rows', '1,200 rows']
  assert (
    counted(1, 'class', 'classes') == '1 class' and counted(3, 'class', 'classes') == '3 classes'
  )
  assert counted(1, 'file is', 'files are') == '1 file is'
