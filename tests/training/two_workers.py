"""One of two workers that train together; prints the records of the epochs as JSON."""

import json
import sys
from dataclasses import asdict

import torch
from synthetic import plan, splits, train
from torch import distributed

if __name__ == "__main__":
    rank, meeting_point = int(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting_point}", rank=rank, world_size=2
    )
    records = train(plan(workers=2), splits())
    print(json.dumps([asdict(record) for record in records]))
    distributed.destroy_process_group()
