"""Run one of two workers that train together; print the records of the epochs as JSON."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from synthetic import make_spec, splits, train
from torch import distributed

if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2
    )
    records = train(make_spec(workers=2), splits(), folder)
    print(json.dumps([asdict(record) for record in records]))
    distributed.destroy_process_group()
