"""Upkeep of every table: compact small files, let old rows and unneeded files go; `lake nightly` does it at its end."""

from lake.lake import Lake
from lake.upkeep import tend

if __name__ == "__main__":
    with Lake.open() as lake, lake.writing("night"):
        for tended in tend(lake):
            print(f"{tended.address}: {tended.sentence()}")
