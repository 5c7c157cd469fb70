//! Pure views of a report: `fn(&Report) -> String`, one file a format.

mod html;
mod junit;

pub use html::html;
pub use junit::junit;
