//! A letter as one line of an export, to the byte, and the header before them.
