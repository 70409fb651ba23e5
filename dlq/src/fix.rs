//! Changes of a letter on its way back: values, patches, another type.
