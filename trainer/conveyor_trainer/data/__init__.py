"""Data sets with fixed splits: `load_data_set` is the way in."""

from conveyor_trainer.data.catalogue import data_set_names, load_data_set
from conveyor_trainer.data.request import DataRequest
from conveyor_trainer.data.split import DataSet, Split

__all__ = ["DataRequest", "DataSet", "Split", "data_set_names", "load_data_set"]
