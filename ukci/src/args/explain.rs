//! `ukci explain` and `ukci help`.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Code of the diagnosis, for example `UNSUPPORTED_HELPER` [default: list all codes]
    pub(crate) code: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Help {
    /// A command such as `kernels features`, or `environment`, or `exit-status`
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Vec<String>,
}
