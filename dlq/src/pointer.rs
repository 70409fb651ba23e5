//! JSON pointers (RFC 6901) into bodies, which go on into JSON inside of a string.
