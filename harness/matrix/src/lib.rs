//! What people write for `ukci`: the [`Matrix`](matrix::Matrix), which names kernels, LLVMs and
//! architectures, and the [`Manifest`](manifest::Manifest), which says what an object's own loader
//! does.
//!
//! Text comes in; planned cells and contracts of `ukci-schema` go out, or an error that names the
//! file, the line and the column. No file is opened here.

pub mod authored;
pub mod excerpt;
pub mod groups;
pub mod manifest;
pub mod matrix;
pub mod nearest;
pub mod partition;
pub mod pattern;
pub mod scope;
