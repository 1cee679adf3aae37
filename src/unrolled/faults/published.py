"""What is wrong with the backward passes that the documents publish: three lines each."""

from unrolled.faults.catalogue import fault

__all__ = ["PUBLISHED"]

PUBLISHED = {
    # MATLAB adder: H_t_diff is the output's alone, C_t_1_diff is commented out, 1 - C_t.^2.
    "000": tuple(map(fault, ("h-not-carried", "c-not-carried", "c-squared"))),
    # NumPy LSTM, h = o⊙c (cell "linear"): exact.
    "001": (),
    # LstmLayer: bi_grad and bo_grad read delta_f, x's weights the last step; no path for the cell.
    "002": tuple(map(fault, ("b-i-from-f", "b-o-from-f", "ih-last", "c-not-carried"))),
}
