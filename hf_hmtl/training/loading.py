"""From the datasets of a trainer to its loaders."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import gather_object
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments

from hf_hmtl.data.columns import check_dataset
from hf_hmtl.data.mixed_sampler import sampler_for
from hf_hmtl.data.mixture import below
from hf_hmtl.data.rows import IMAGE, image_column
from hf_hmtl.data.sampler import EpochRowSampler
from hf_hmtl.tasks import Supervised
from hf_hmtl.training.collators import AdoptedCollator, rows_for
from hf_hmtl.training.ending import stay_when_told


def checked_datasets(train_dataset: Any, eval_dataset: Any, supervised: Sequence[Supervised], collator: Any) -> str:
    """The column of the images, when the datasets have what the tasks learn.

    Args:
        eval_dataset: also a dictionary of datasets.
        collator: of training, or None; the rows of an `AdoptedCollator` are its own affair.

    Raises:
        ValueError: as `check_dataset`.
    """
    evaluated = eval_dataset if isinstance(eval_dataset, Mapping) else {"": eval_dataset}
    named = {"train_dataset": train_dataset}
    named |= {f"eval_dataset{f'[{name!r}]' * bool(name)}": each for name, each in evaluated.items()}
    named = {name: below(each) for name, each in named.items() if each is not None}
    if isinstance(collator, AdoptedCollator) or not named:
        return IMAGE
    column = getattr(collator, "image_column", None) or image_column(next(iter(named.values())))
    for name, dataset in named.items():
        check_dataset(dataset, supervised, name, column)
    return column


def planned_batches(args: TrainingArguments, of_an_epoch: int) -> float:
    """Batches of a whole training, when an epoch has so many."""
    if args.max_steps <= 0:
        return args.num_train_epochs * of_an_epoch
    accumulated = args.gradient_accumulation_steps
    epochs, steps = divmod(args.max_steps, math.ceil(of_an_epoch / accumulated))
    return epochs * of_an_epoch + steps * accumulated


class Loading(Trainer):
    """A Trainer whose datasets may be of any kind, and whose order of rows is a function of seed and epoch."""

    def get_train_dataloader(self) -> DataLoader:
        """Loader of this process's share of every global batch.

        It is not handed to accelerate: the sampler already knows the processes. The loader has a generator of its own,
        so that starting workers takes nothing from the global one and a resumed run stays bit-identical.
        """
        args, self.sampler = self.args, self.new_sampler()
        return DataLoader(
            self.training_rows(),
            batch_sampler=self.sampler,
            collate_fn=self.train_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
            multiprocessing_context=args.dataloader_multiprocessing_context,
            generator=torch.Generator(),
            worker_init_fn=stay_when_told,
        )

    def _prepare_inputs(self, inputs: dict) -> dict:
        """As the Trainer's; numbers of rows stay on the CPU, where they are looked at."""
        kept = {name: inputs[name] for name in ("rows", "broken_rows") if name in inputs}
        return super()._prepare_inputs({name: each for name, each in inputs.items() if name not in kept}) | kept

    def _prepare_input(self, data: Any) -> Any:
        """As the Trainer's, which would wait with each tensor until a GPU has done all that it was given before."""
        return (
            data.to(self.args.device, non_blocking=True)
            if isinstance(data, torch.Tensor)
            else super()._prepare_input(data)
        )

    def training_rows(self) -> Dataset:
        """The training dataset, as the collator takes its rows."""
        return rows_for(self.train_collator, self.train_dataset)

    def new_sampler(self) -> EpochRowSampler:
        """The order of the training rows, for this process."""
        args = self.args
        sampler = sampler_for(
            self.train_dataset,
            self._train_batch_size,
            args.sampling_seed,
            args.process_index,
            args.world_size,
            args.dataloader_drop_last,
        )
        sampler.planned = planned_batches(args, len(sampler))
        return sampler

    def broken_over_processes(self, kind: str) -> set[int]:
        """Numbers of the rows whose image was broken, in all processes: of training ("train") or evaluation ("eval").

        All processes have to call it.
        """
        return set(gather_object(sorted(self.broken_rows[kind])))

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        """As the Trainer's, of a dataset of any kind; see `get_test_dataloader`."""
        if eval_dataset is None or isinstance(eval_dataset, str):
            eval_dataset = self.eval_dataset if eval_dataset is None else self.eval_dataset[eval_dataset]
        if eval_dataset is None:
            raise ValueError("there is nothing to evaluate on; pass eval_dataset=... here or to HMTLTrainer")
        return self.get_test_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset) -> DataLoader:
        """As the Trainer's, of a dataset of any kind.

        No row is left out, and the workers end with the evaluation: the Trainer would hand back the persistent loader
        of one dataset for another, and accelerate would keep the workers of every loader alive.
        """
        kept = self.args.dataloader_drop_last, self.args.dataloader_persistent_workers
        self.args.dataloader_drop_last = self.args.dataloader_persistent_workers = False
        try:
            loader = super().get_test_dataloader(rows_for(self.data_collator, test_dataset))
        finally:
            self.args.dataloader_drop_last, self.args.dataloader_persistent_workers = kept
        loader.worker_init_fn = stay_when_told
        return loader
