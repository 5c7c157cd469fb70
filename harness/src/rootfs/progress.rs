//! How the making of an image goes on.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done at present, and how many of its bytes are done. The numbers say so: `done` of `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// All bytes of the source are read, to find its digest.
    Reading {
        /// Bytes that were read.
        done: u64,
        /// Bytes of the source.
        total: u64,
    },
    /// The image is made, because the cache has none of this digest.
    Making {
        /// Bytes that were compressed.
        done: u64,
        /// Bytes of all files of the image. 0 while an archive is unpacked, which does not say.
        total: u64,
    },
}

/// Who is told of each step. Called from several threads.
pub(super) type Told<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// Counts bytes, and tells of them.
#[derive(Clone)]
pub(super) struct Meter<'a> {
    told: Told<'a>,
    step: fn(u64, u64) -> Progress,
    done: Arc<AtomicU64>,
    total: u64,
}

impl<'a> Meter<'a> {
    /// Of the bytes of the source, which are read.
    pub(super) fn reading(total: u64, told: Told<'a>) -> Self {
        Self::new(total, told, |done, total| Progress::Reading { done, total })
    }

    /// Of the bytes of the image, which is made.
    pub(super) fn making(total: u64, told: Told<'a>) -> Self {
        Self::new(total, told, |done, total| Progress::Making { done, total })
    }

    fn new(total: u64, told: Told<'a>, step: fn(u64, u64) -> Progress) -> Self {
        told(step(0, total));
        Self {
            told,
            step,
            done: Arc::default(),
            total,
        }
    }

    /// Tells of all bytes that are read from `from`.
    pub(super) fn of<R: Read>(&self, from: R) -> Metered<'a, R> {
        Metered {
            meter: self.clone(),
            from,
        }
    }
}

/// A reader whose bytes are counted.
pub(super) struct Metered<'a, R> {
    meter: Meter<'a>,
    from: R,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let Meter {
            told,
            step,
            done,
            total,
        } = &self.meter;
        let before = done.fetch_add(read as u64, Ordering::Relaxed);
        told(step(before + read as u64, *total));
        Ok(read)
    }
}
