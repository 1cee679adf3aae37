"""The layers that a user holds, and how a call of one is taken in and answered."""
