//! The authored file: which kernels, LLVMs and architectures, and what is expected of them.
