//! Dead letters counted by origin, type, failure class and fingerprint, in bounded memory.
