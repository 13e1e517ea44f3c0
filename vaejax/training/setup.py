"""Everything that a run needs, built from its config and checked before anything is written."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from vaejax.core import factory, optim, sharding
from vaejax.core.devices import ANY_LAYOUT, Layout, make_mesh
from vaejax.core.passes import Pass, make_pass
from vaejax.core.stack import Member
from vaejax.data import left_out, means, sources, splits
from vaejax.data.source import Source
from vaejax.errors import UserError
from vaejax.eval_type import Eval
from vaejax.evaluation.evals import check_best, make_evals, make_protocol
from vaejax.evaluation.streams import open_others
from vaejax.lookup import lookup
from vaejax.reporting import previews
from vaejax.runs import checkpoint, same_data, workdir
from vaejax.training import checks, patience
from vaejax.training.cadence import Cadence
from vaejax.training.program import Program, make_program
from vaejax.types import Method, State


class Setup(NamedTuple):
  """Everything that a run needs.

  Attributes:
    cadence: when rows, tests and checkpoints are due.
    method, source: the model, and the batches that it is trained on.
    about: one line on the training data; notes: what was skipped, measured or assumed in it.
    provenance: {split: what was read}, as config.json has it.
    changes: (provenance of an earlier start) -> the changes since, see runs.same_data.
    evals: {name: Eval}; skipped_evals: a line for each eval that does not fit.
    passes: {split: a pass of all evals over it}, for 'test', and 'validation' if the data has it.
    watched: the split that is tested while training; watch_size: how many of its examples.
    protocol: (split, step, ema) -> {eval: everything its values depend on}.
    make_pictures: () -> the function of reporting.previews.make; it loads test images.
    mesh, program, schedules: the devices, the compiled steps, {entry of hyper: step -> factor}.
    members: of a stack of runs; () for a single run.
    create: (variables of other runs) -> the first state; pure.
    state_sharding, abstract_state: sharding of each leaf of the state; shapes of what is saved.
    hyper: the run's hyper-parameters, for messages.
    keep, best: which checkpoints stay, see checkpoint.manage.
    patience: when the run stops early; None: never.
    images_per_step: examples of one step, over all members.
  """

  cadence: Cadence
  method: Method
  source: Source
  about: str
  notes: list[str]
  provenance: dict[str, dict]
  changes: Callable[[dict], list[same_data.Change]]
  evals: dict[str, Eval]
  skipped_evals: list[str]
  passes: dict[str, Pass]
  watched: str
  watch_size: int
  protocol: Callable[..., dict[str, dict]]
  make_pictures: Callable[[], Callable]
  mesh: jax.sharding.Mesh
  program: Program
  schedules: dict
  members: tuple[Member, ...]
  create: Callable[..., State]
  state_sharding: State
  abstract_state: dict
  hyper: dict[str, float]
  keep: int
  best: str
  patience: patience.Patience | None
  images_per_step: int

  @property
  def partial(self) -> bool:
    """Whether tests while training see another split, or less of it, than the final test."""
    return self.watched != 'test' or self.watch_size < self.passes['test'].size


def set_up(
  config,
  data_dir: Any,
  members: tuple[Member, ...] = (),
  layout: Layout = ANY_LAYOUT,
) -> Setup:
  """Builds the setup of a config's run, or of a stack of runs. Writes nothing. Raises UserError."""
  # What needs no data comes first, so that a mistake shows before a dataset is prepared.
  lookup('methods', config.method)
  optim.make(config.optimizer)
  schedules = optim.schedules(config.schedule, config.steps)
  patient = patience.make(config, bool(members))
  mesh = make_mesh(microbatch(config), members=max(1, len(members)), layout=layout)
  put = sharding.MeshPlacement(mesh)
  tables = {
    name: table for name, table in splits.tables(config.data, data_dir)._asdict().items() if table
  }
  method = factory.make_method(config, sources.example(config.data, tables['train']))
  labels = checks.check_training_labels(config, method, tables['train'])
  weigh_labels = 'label' in tables['train'].row and not (labels and not labels.unlabelled)
  count = config.batch_size * method.batches
  leaves_out = checks.check_left_out(config, members, tables['train'], method)
  source = sources.train(config.data, tables['train'], count, config.seed, put, bool(leaves_out))
  if config.keep_as_judge and 'classify' not in method.predict:
    raise UserError(f'keep_as_judge=True needs a classifier, which {config.method} is not')
  evals, skipped = make_evals(config.evals, config, method, source.example)
  evals, others, missing = open_others(evals, config.data, data_dir, source.example, put)
  skipped += missing
  watched = 'validation' if 'validation' in tables else 'test'
  evals_of, lines, notes = checks.fit_evals(config, method, evals, source.example, tables, labels)
  skipped += lines
  notes += checks.pruning_notes(config)
  check_best(
    config.checkpoint.best, evals_of[watched], skipped, config.data.name, 'validation' in tables
  )
  ordered = {name: sources.test(config.data, table, put) for name, table in tables.items()}
  passes = {
    name: make_pass(
      of_split,
      method,
      ordered[name],
      config.eval.batch_size,
      mesh,
      bool(members),
      ordered['train'],
      left_out.streams(name) if leaves_out else (),
      others,
    )
    for name, of_split in evals_of.items()
  }
  size = ordered[watched].size
  provenance = {
    name: {**workdir.provenance(table), 'sample': same_data.sample(table)}
    for name, table in tables.items()
  }
  first = means.first_batch(tables['train'], source.example) if method.centred else None
  create = lambda taken=None: factory.initial_state(
    method, config, source.example, members, taken, first
  )
  leaf_sharding = sharding.state_sharding(mesh, bool(members), layout.fsdp)
  state_sharding = jax.tree.map(leaf_sharding, jax.eval_shape(create))
  return Setup(
    cadence=Cadence(
      config.steps, config.eval.log_every, config.eval.every, config.checkpoint.every
    ),
    method=method,
    source=source,
    about=', '.join(
      [
        f'{config.data.name}: ' + sources.summary(tables['train'], source.resident, labels),
        *([left_out.in_words(leaves_out, source.example.class_names)] if leaves_out else []),
      ]
    ),
    notes=list(dict.fromkeys(note for table in tables.values() for note in table.notes)) + notes,
    provenance=provenance,
    changes=lambda saved: same_data.changes(saved, tables, provenance),
    evals=evals,
    skipped_evals=skipped,
    passes=passes,
    watched=watched,
    watch_size=min(config.eval.size or size, size),
    protocol=make_protocol(config, evals, provenance),
    make_pictures=lambda: previews.make(
      method, ordered[watched], config.eval.images, bool(members)
    ),
    mesh=mesh,
    program=make_program(
      config.optimizer, method, source, schedules, mesh, state_sharding, members, weigh_labels
    ),
    schedules=schedules,
    members=members,
    create=create,
    state_sharding=state_sharding,
    abstract_state=checkpoint.abstract_state(create, leaf_sharding),
    hyper=dict(config.hyper),
    keep=config.checkpoint.keep,
    best=config.checkpoint.best,
    patience=patient,
    images_per_step=count * max(1, len(members)),
  )


def microbatch(config) -> int:
  """The number of examples processed at once, which the 'data' axis of the mesh must divide."""
  together = math.gcd(config.batch_size, config.data.get('labelled_batch', 0))
  return together // config.optimizer.accumulate
