//! `ukci kernels build`: build a kernel from source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ukci_harness::catalogue::cache_dir;
use ukci_harness::kernel_build::{self, Base, Built, Debug, Error, Progress, Request};
use ukci_harness::render::harmless;
use ukci_schema::plural::count;

use crate::args::{Build, DebugCheck};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, label};
use crate::runtime;
use crate::stdout::print;
use crate::text::text;

/// How often a line is printed where there is no live display.
const BEAT: Duration = Duration::from_secs(30);

/// Runs the command.
pub(super) fn run(args: &Build, output: Output) -> Result<Exit, Failure> {
    let request = request(args)?;
    let stop = Arc::new(AtomicBool::new(false));
    let ended = runtime::run(|mut signal| {
        let stop = Arc::clone(&stop);
        async move {
            let mut told = Told::new(output);
            let asked = Arc::clone(&stop);
            let work = tokio::task::spawn_blocking(move || {
                kernel_build::build(&request, &asked, &mut |progress| told.show(progress))
            });
            tokio::pin!(work);
            let done = tokio::select! {
                done = &mut work => done,
                _ = signal.wait_for(|signal| *signal) => {
                    stop.store(true, Ordering::Relaxed);
                    work.await
                }
            };
            let done = done.map_err(|error| Failure::failed_to("build the kernel", &error))?;
            match done {
                Err(Error::Stopped) => Ok(None),
                Err(error) => Err(Failure::of(status(&error), &error, error.hint())),
                Ok(built) => Ok(Some(built)),
            }
        }
    })?;
    let Some(built) = ended.flatten() else {
        return Ok(Exit::Interrupted);
    };
    say(&built, output);
    print(text!("{}\n", harmless(&built.image.to_string_lossy())))
}

fn request(args: &Build) -> Result<Request, Failure> {
    let arch = args.arch.or_else(|| std::env::consts::ARCH.parse().ok());
    let arch = arch.ok_or_else(|| {
        let hint = "name an architecture with `--arch`".to_owned();
        Failure::says(
            Exit::Usage,
            "this host has an architecture that ukci knows no kernels for",
            Some(hint),
        )
    })?;
    let base = match args.config.as_str() {
        "bpf" => Base::Bpf,
        file => Base::File(file.into()),
    };
    let debug = args.debug.iter().map(|check| match check {
        DebugCheck::Kasan => Debug::Kasan,
        DebugCheck::Lockdep => Debug::Lockdep,
    });
    let mut debug: Vec<Debug> = debug.collect();
    debug.sort_unstable();
    debug.dedup();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Request {
        source: args.source.clone(),
        arch,
        base,
        debug,
        settings: args.set.clone(),
        jobs: args.jobs.map_or(cores, usize::from),
        cache: cache_dir(),
    })
}

/// What was named wrongly is the command line's fault. That a kernel does not compile has a status of
/// its own, because `git bisect run` has to skip it.
fn status(error: &Error) -> Exit {
    match error {
        Error::Make { .. } => Exit::Unmet,
        Error::Source { .. } | Error::Unclean(_) | Error::Setting { .. } | Error::Git { .. } => {
            Exit::Usage
        }
        _ => Exit::NoVerdict,
    }
}

fn say(built: &Built, output: Output) {
    if !output.chatty {
        return;
    }
    let word = if built.made == 0 {
        "Unchanged"
    } else {
        "Built"
    };
    let how = if built.made == 0 {
        String::new()
    } else {
        let files = count(built.made, "file");
        let time = humantime::format_duration(Duration::from_secs(built.seconds));
        format!(" ({files} in {time})")
    };
    output.say(&text!(
        "{} {} for {}{}",
        label(GOOD, word),
        harmless(&built.release),
        built.arch,
        harmless(&how)
    ));
    if !built.missing.is_empty() {
        let names: Vec<&str> = built
            .missing
            .iter()
            .map(|option| option.trim_start_matches("CONFIG_"))
            .collect();
        output.say(&text!(
            "{} {} that this kernel does not have: {}",
            label(GOOD, "Left out"),
            harmless(&count(names.len() as u64, "option")),
            harmless(&names.join(", "))
        ));
    }
}

/// Shows what is done: the file that make has begun with, or a line now and then.
struct Told {
    output: Output,
    bar: ProgressBar,
    last: Instant,
}

impl Told {
    fn new(output: Output) -> Self {
        let target = if output.live {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:>12.green.bold} {wide_msg} {elapsed}")
        {
            bar.set_style(style);
        }
        Self {
            output,
            bar,
            last: Instant::now(),
        }
    }

    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Reading { source } => self.begin("Reading", &source),
            Progress::CheckingOut { source } => self.begin("Checkout", &source),
            Progress::Configuring { release } => {
                self.begin("Configuring", &format!("Linux {release}"));
            }
            Progress::Waiting => self.begin("Waiting", "for another build from this source"),
            Progress::Unpacking {
                source,
                done,
                total,
            } => {
                let percent = (done * 100).checked_div(total).unwrap_or(100);
                self.go_on(
                    "Unpacking",
                    &format!("{source} ({percent} %)"),
                    done < 2 << 20,
                );
            }
            Progress::Making { file, done } => {
                let files = count(done, "file");
                self.go_on("Compiling", &format!("{files}, {file}"), done == 1);
            }
            _ => {}
        }
    }

    /// A step that is told once.
    fn begin(&mut self, verb: &'static str, what: &str) {
        self.go_on(verb, what, true);
    }

    fn go_on(&mut self, verb: &'static str, what: &str, is_first: bool) {
        let what = harmless(what);
        if self.output.live {
            self.bar.set_prefix(verb);
            self.bar.set_message(what.into_string());
        } else if self.output.chatty && (is_first || self.last.elapsed() >= BEAT) {
            self.last = Instant::now();
            self.output.say(&text!("{} {}", label(GOOD, verb), what));
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
