//! Keywords of host names, URLs and other short texts.
