"""Wrong backward passes: a catalogue of faults, each a switch on the exact pass.

`faulty_lstm` is a layer whose forward pass is exact and whose backward pass has the faults that
it is given, so that a network can be trained with a published gradient; `PUBLISHED` says what is
wrong with those of the documents.
"""

from unrolled.faults.autograd import faulty_lstm
from unrolled.faults.catalogue import Fault, catalogue, compatible, fault
from unrolled.faults.published import PUBLISHED

__all__ = ["PUBLISHED", "Fault", "catalogue", "compatible", "fault", "faulty_lstm"]
