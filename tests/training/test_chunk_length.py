from vaejax.training import chunk_length


def test_the_length_of_chunks_grows_to_half_a_second_and_stays(monkeypatch):
  shared = []
  broadcast = lambda make: shared.append(make()) or shared[-1]
  monkeypatch.setattr(chunk_length.processes, 'broadcast', broadcast)
  chunks, lengths = chunk_length.ChunkLength(), []
  for number in range(40):
    lengths.append(chunks.next())
    if chunks.warming_up:
      # The first one compiles, and one is disturbed.
      chunks.record(lengths[-1], lengths[-1] / 128 + 25 * (number in (0, 4)))
  assert lengths[0] == 1 and lengths[10:] == [64] * 30
  assert len(shared) == chunk_length.ChunkLength.WARM_UP - 1  # and then nothing
