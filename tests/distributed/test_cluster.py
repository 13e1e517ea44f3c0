"""How processes find each other and agree; whole runs of several are in test_hosts.py."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from vaejax.cli.main import main
from vaejax.distributed import cluster
from vaejax.distributed.cluster import Place, come, first_host, gather, place
from vaejax.distributed.group import ALONE, Group
from vaejax.errors import UserError

STEP = {
  'SLURM_STEP_NUM_TASKS': '4',
  'SLURM_PROCID': '3',
  'SLURM_STEP_NODELIST': 'gpu[07-08]',
  'SLURM_JOB_ID': '5',
  'SLURM_STEP_ID': '0',
  'SLURM_LOCALID': '1',
  'SLURM_STEP_TASKS_PER_NODE': '2(x2)',
}


def test_the_place_is_what_the_flags_say():
  assert place('node1:1234', 8, 3, STEP) == Place('node1', 1234, 8, 3)
  assert place('[::1]:1', 2, 0, {}) == Place('::1', 1, 2, 0)
  assert place(None, None, None, {}) is None
  assert place(None, 1, None, STEP) is None  # a way out, where tasks are to run by themselves


@pytest.mark.parametrize(
  'flags, said',
  [
    (('a:1', None, None), 'no --processes and no --process:'),
    ((None, 2, 1), 'no --coordinator:'),
    (('a:1', 2, 2), '--process=2: of --processes=2 it is 0 to 1'),
    (('a', 2, 1), '--coordinator=a: it takes HOST:PORT'),
    (('a:99999', 2, 1), 'it takes HOST:PORT'),
    (('::1', 2, 1), 'it takes HOST:PORT, as in node1:1234 or [::1]:1234'),
    (('[::1', 2, 1), 'it takes HOST:PORT'),
  ],
)
def test_flags_that_name_no_place(flags, said):
  with pytest.raises(UserError) as error:
    place(*flags, {})
  assert said in str(error.value)


def test_the_place_of_a_task_of_srun():
  found = place(None, None, None, STEP)
  assert found == Place('gpu07', 61445, 4, 3, None)
  # Two tasks on a node that see both of its GPUs take one each; one that sees its own has it.
  assert place(None, None, None, STEP | {'CUDA_VISIBLE_DEVICES': '0,1'}).local == 1
  assert place(None, None, None, STEP | {'CUDA_VISIBLE_DEVICES': '1'}).local is None
  one = STEP | {'SLURM_STEP_TASKS_PER_NODE': '1(x4)', 'CUDA_VISIBLE_DEVICES': '0,1'}
  assert place(None, None, None, one).local is None
  # The batch script itself is no step, and a single task is by itself.
  assert place(None, None, None, {k: STEP[k] for k in STEP if 'STEP' not in k}) is None
  assert place(None, None, None, STEP | {'SLURM_STEP_NUM_TASKS': '1'}) is None


@pytest.mark.parametrize(
  'nodes, first',
  [
    ('a', 'a'),
    ('a,b', 'a'),
    ('n[003-005,7],b1', 'n003'),
    ('n[7,9]', 'n7'),
    ('x-[1-2]-y,z', 'x-1-y'),
    ('rack1-n[12]', 'rack1-n12'),
  ],
)
def test_the_first_of_a_list_of_hosts(nodes, first):
  assert first_host(nodes) == first


def together(*processes, abouts=None, host='127.0.0.1'):
  """What gather, for process 0, and come give or raise, of processes as (size, rank) each."""
  with socket.create_server(('', 0)) as server:
    port = server.getsockname()[1]

  def start(number):
    size, rank = processes[number]
    about = abouts[number] if abouts else ['--config=x']
    try:
      return (come if rank else gather)(Place(host, port, size, rank), about)
    except UserError as error:
      return str(error)

  with ThreadPoolExecutor(len(processes)) as pool:
    return list(pool.map(start, range(len(processes))))


def test_they_meet_and_agree():
  size = 3
  (links, port), *others = together(*((size, rank) for rank in range(size)))
  assert sorted(links) == [1, 2] and all(other == port for _, other in others)
  groups = [Group(size, rank, found) for rank, (found, _) in enumerate([(links, 0), *others])]
  order = []

  def run(group):
    shared = group.share(lambda: {'step': 3, 'of': group.rank})
    made = group.first(lambda: order.append(group.rank) or group.rank)
    told = [group.agree(5 if group.main else 99, [])]
    heard = [15] if group.rank == 2 else []
    while not told[-1][1]:
      told.append(group.agree(5 if group.main else 99, heard))
    group.meet(over=True)
    return shared, made, told

  with ThreadPoolExecutor(size) as pool:
    found = list(pool.map(run, groups))
  assert [shared for shared, _, _ in found] == [{'step': 3, 'of': 0}] * size
  assert [made for _, made, _ in found] == [0, 1, 2] and order[0] == 0
  # All hear of the signal that one got at the same place.
  assert found[0][2] == found[1][2] == found[2][2] and found[0][2][-1] == [5, [15]]
  for group in groups:
    for link, _ in group.links.values():
      link.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason='no IPv6 here')
def test_they_meet_by_ipv6():
  (links, port), (_, other) = together((2, 0), (2, 1), host='::1')
  assert sorted(links) == [1] and port == other
  assert Place('::1', 1, 2, 0).address(5) == '[::1]:5'
  links[1][0].close()


def test_they_were_not_asked_alike():
  zero, one = together((2, 0), (2, 1), abouts=[['--config=x'], ['--config=y']])
  assert '--processes=2 --config=y, process 0 with --processes=2 --config=x' in zero
  assert one == f'process 0: {zero}'
  zero, one = together((2, 0), (3, 1))
  assert '--processes=3' in zero and one == f'process 0: {zero}'


def test_one_does_not_come(monkeypatch):
  monkeypatch.setattr(cluster, 'WAIT', 1.0)
  zero, one = together((3, 0), (3, 1))
  assert zero.startswith('no process 2 of 3 came to 127.0.0.1:')
  assert one == f'process 0: {zero}'


def test_a_stranger_at_the_port_is_passed_over(monkeypatch):
  monkeypatch.setattr(cluster, 'WAIT', 10.0)
  with socket.create_server(('', 0)) as server:
    port = server.getsockname()[1]
  with ThreadPoolExecutor(2) as pool:
    zero = pool.submit(gather, Place('127.0.0.1', port, 2, 0), [])
    time.sleep(0.2)
    with socket.create_connection(('127.0.0.1', port)) as stranger:
      stranger.sendall(b'GET / HTTP/1.1\r\n\r\n')
    links, _ = pool.submit(come, Place('127.0.0.1', port, 2, 1), []).result()
    links |= zero.result()[0]
  assert sorted(links) == [0, 1]
  for link, _ in links.values():
    link.close()


def test_a_dead_coordinator(project, capsys, monkeypatch, tmp_path):
  monkeypatch.setattr(cluster, 'WAIT', 1.0)
  monkeypatch.setattr('vaejax.distributed.native.hush', lambda: None)
  flags = '--coordinator=127.0.0.1:1', '--processes=2', '--process=1'
  assert main(['train', '--config=configs/vae.py:smoke', f'--workdir={tmp_path}', *flags]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert line.startswith('error: no process 0 at --coordinator=127.0.0.1:1 within 1 s (')


def test_alone_nothing_is_told():
  heard = []
  assert ALONE.agree(7, heard) == (7, heard) and ALONE.share(lambda: {1: 2}) == {1: 2}
