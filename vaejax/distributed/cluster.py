"""Which processes make up a program, and how they find each other.

They are named by flags, or by SLURM where `srun` starts several. Process 0 listens at the
coordinator's address until all have come, and only then JAX is started, at another port: where one
does not come, a line says so, in place of JAX's abort.
"""

import contextlib
import json
import re
import socket
import time
from typing import NamedTuple

from vaejax.distributed import native
from vaejax.distributed.group import ALONE, Alone, Group
from vaejax.errors import UserError

WAIT = 45.0  # seconds for all processes to come
SILENT = 50  # seconds after which JAX takes a process that is stuck for dead
DEAD = 30  # seconds after which a host that does not answer is taken for dead


class Place(NamedTuple):
  """A process among those of a program. `local`: its number on its host, None for all devices."""

  host: str
  port: int
  size: int
  rank: int
  local: int | None = None

  def address(self, port: int) -> str:
    """HOST:PORT; the colons of IPv6 stand in brackets."""
    return f'[{self.host}]:{port}' if ':' in self.host else f'{self.host}:{port}'


def place(coordinator: str | None, processes: int | None, process: int | None, env) -> Place | None:
  """The place that flags name, or else the variables of `srun`; None for a process by itself.

  Raises UserError for flags that do not name one.
  """
  given = {'--coordinator': coordinator, '--processes': processes, '--process': process}
  if processes == 1:
    return None
  missing = [flag for flag, value in given.items() if value is None]
  if len(missing) == 3:
    return slurm(env)
  if missing:
    raise UserError(
      f'no {" and no ".join(missing)}: several processes take --coordinator=HOST:PORT '
      '--processes=N --process=I, the same HOST:PORT and N each, I from 0 to N-1'
    )
  found = re.fullmatch(r'(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})', coordinator)
  if not found or not 0 < int(found[3]) < 2**16:
    raise UserError(
      f'--coordinator={coordinator}: it takes HOST:PORT, as in node1:1234 or [::1]:1234'
    )
  if process >= processes:
    raise UserError(f'--process={process}: of --processes={processes} it is 0 to {processes - 1}')
  return Place(found[1] or found[2], int(found[3]), processes, process)


def slurm(env) -> Place | None:
  """The place of a task of `srun`, None where it is the only one or there is no SLURM."""
  names = 'SLURM_STEP_NUM_TASKS', 'SLURM_PROCID', 'SLURM_STEP_NODELIST', 'SLURM_JOB_ID'
  if any(name not in env for name in names) or env[names[0]] == '1':
    return None
  size, rank, nodes, job = (env[name] for name in names)
  # Several tasks that see all of a node's GPUs take one each.
  several = len(env.get('CUDA_VISIBLE_DEVICES', '').split(',')) > 1
  here = int(env.get('SLURM_STEP_TASKS_PER_NODE', '1').partition('(')[0].partition(',')[0])
  local = int(env.get('SLURM_LOCALID', 0)) if several and here > 1 else None
  # Above what systems hand out by themselves; another for another job, or step, on the node.
  port = 61440 + (int(job) + 64 * int(env.get('SLURM_STEP_ID', 0))) % 4096
  return Place(first_host(nodes), port, int(size), int(rank), local)


def first_host(nodes: str) -> str:
  """The first of SLURM's list of hosts: 'a003' of 'a[003-005,7]-x,b1'."""
  found = re.match(r'([^,\[]*)(?:\[([^\],-]*)[^\]]*\])?([^,\[]*)', nodes)
  return ''.join(part or '' for part in found.groups())


def join(where: Place | None, about: list) -> Alone:
  """The group of the process in this place, once all processes are there; to be called before JAX
  is used. `about` (JSON): what all must have been asked alike.

  Raises UserError within a minute where they do not come together.
  """
  if where is None:
    return ALONE
  links, port = (gather if where.rank == 0 else come)(where, about)
  import jax

  jax.config.update('jax_enable_preemption_service', False)  # it takes SIGTERM for itself
  try:
    jax.distributed.initialize(
      where.address(port),
      where.size,
      where.rank,
      local_device_ids=where.local,
      cluster_detection_method='deactivate',
      initialization_timeout=60,
      heartbeat_timeout_seconds=SILENT,
      shutdown_timeout_seconds=60,
    )
  except RuntimeError as error:
    said = str(error).strip().partition('\n')[0]
    raise UserError(f'JAX cannot reach process 0 at {where.host}, port {port}: {said}') from error
  jax.devices()  # all do this together: the devices of one are made known to the others
  return Group(where.size, where.rank, links, native.said)


def gather(where: Place, about: list):
  """Waits for the others, as process 0. Their links, and a free port for JAX."""
  links, end = {}, time.monotonic() + WAIT
  address = where.address(where.port)
  try:
    server = listen(where)
  except OSError as error:
    raise UserError(
      f'--coordinator={address}: process 0 cannot listen at port {where.port} '
      f'({error.strerror}): take another'
    ) from None
  try:
    with server:
      while len(links) < where.size - 1:
        server.settimeout(max(0.1, end - time.monotonic()))
        try:
          link, _ = server.accept()
        except TimeoutError:
          absent = [str(i) for i in range(1, where.size) if i not in links]
          raise UserError(
            f'no process {", ".join(absent)} of {where.size} came to {address} within {WAIT:.0f} '
            's: start all of them together, each with its own --process'
          ) from None
        if hello := read(link, 5):
          links |= welcome(hello, where, about, link, links)
  except UserError as error:
    for link, _ in links.values():
      tell(link, {'fail': f'process 0: {error}'})
    raise
  with socket.create_server(('', 0)) as free:
    port = free.getsockname()[1]
  for link, _ in links.values():
    tell(link, {'jax': port})
  return links, port


def listen(where: Place) -> socket.socket:
  """A server at the coordinator's port, of IPv6 too where its name means an address of that."""
  families = []
  with contextlib.suppress(OSError):
    families = [found[0] for found in socket.getaddrinfo(where.host, where.port)]
  six = socket.AF_INET6 in families and socket.has_dualstack_ipv6()
  family = socket.AF_INET6 if six else socket.AF_INET
  return socket.create_server(
    ('', where.port), family=family, backlog=where.size, dualstack_ipv6=six
  )


def welcome(hello, where: Place, about: list, link, links) -> dict:
  """{rank: (link, host)} of a process that has come. Raises UserError where it is not expected."""
  try:
    rank, size, host, other = (hello[key] for key in ('rank', 'size', 'host', 'about'))
  except (TypeError, KeyError):
    return {}  # somebody else
  if rank not in range(1, where.size) and (size, other) == (where.size, about):
    return {}
  links[-1] = link, host  # it is to hear of an error too
  if (size, other) != (where.size, about):
    asked = lambda size, about: ' '.join([f'--processes={size}', *map(str, about)])
    raise UserError(
      f'process {rank} ({host}) was started with {asked(size, other)}, process 0 with '
      f'{asked(where.size, about)}: give all the same'
    )
  if rank in links:
    raise UserError(f'two processes with --process={rank} ({links[rank][1]}, {host}): it takes one')
  del links[-1]
  prepare(link)
  return {rank: (link, host)}


def come(where: Place, about: list):
  """Goes to process 0, as another. The link to it, and the port of its JAX."""
  address, end = where.address(where.port), time.monotonic() + WAIT
  link, why = None, None
  while link is None:
    try:
      link = socket.create_connection((where.host, where.port), timeout=5)
    except OSError as error:
      why = error.strerror or str(error)
      if time.monotonic() > end:
        raise UserError(
          f'no process 0 at --coordinator={address} within {WAIT:.0f} s ({why}): start it there, '
          'or give the HOST:PORT where it is'
        ) from None
      time.sleep(0.2)
  hello = {'rank': where.rank, 'size': where.size, 'host': socket.gethostname(), 'about': about}
  tell(link, hello)
  found = read(link, WAIT + 5)
  if not isinstance(found, dict) or not found.keys() & {'jax', 'fail'}:
    raise UserError(
      f'what is at --coordinator={address} is not process 0 of this program, or it ended while the '
      'others came: see what it said'
    )
  if 'fail' in found:
    raise UserError(found['fail'])
  prepare(link)
  return {0: (link, address)}, found['jax']


def prepare(link: socket.socket) -> None:
  """Makes a link that lasts, and that fails where the other host is dead."""
  link.settimeout(None)
  link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
  with contextlib.suppress(AttributeError):  # as Linux calls them
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD // 3)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD // 6)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * DEAD)


def tell(link: socket.socket, message: dict) -> None:
  """Sends one line of JSON."""
  with contextlib.suppress(OSError):
    link.sendall(json.dumps(message).encode() + b'\n')


def read(link: socket.socket, seconds: float):
  """One line of JSON, byte by byte so that nothing behind it is taken; None where none comes."""
  line, end = b'', time.monotonic() + seconds
  with contextlib.suppress(OSError, ValueError):
    while not line.endswith(b'\n') and len(line) < 2**16:
      link.settimeout(max(0.1, end - time.monotonic()))
      byte = link.recv(1)
      if not byte:
        return None
      line += byte
    return json.loads(line)
  return None
