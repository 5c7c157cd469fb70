//! Records when each stage of one boot begins, and says what each took.
//!
//! Nothing depends on it but the report and the log: a stage that took long is not a verdict.

use std::time::Duration;

use tokio::time::Instant;
use ukci_schema::report::StageTime;
use ukci_schema::verdict::Stage;

/// The CPU time that a guest has taken until now; `None` if the host does not say.
pub type CpuTime = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// The stages of one boot until now.
#[derive(Default)]
pub(crate) struct Timeline {
    begun: Vec<Begun>,
    cpu_time: Option<CpuTime>,
}

/// A stage, and the two clocks when it began.
struct Begun {
    stage: Stage,
    at: Instant,
    cpu_time: Option<Duration>,
}

impl Timeline {
    /// A boot that begins now. Its guest has taken no CPU time yet.
    pub(crate) fn new() -> Self {
        let mut timeline = Self::default();
        timeline.begin(Stage::Boot);
        timeline
    }

    /// The guest runs, and this is its CPU time.
    pub(crate) fn watch(&mut self, cpu_time: CpuTime) {
        self.cpu_time = Some(cpu_time);
    }

    /// A stage begins, and the one before it ends.
    pub(crate) fn begin(&mut self, stage: Stage) {
        tracing::debug!(%stage, "stage begins");
        let (at, cpu_time) = self.now();
        self.begun.push(Begun {
            stage,
            at,
            cpu_time,
        });
    }

    /// The last stage ends. What each took, in order.
    pub(crate) fn end(&self) -> Vec<StageTime> {
        let mut next = self.now();
        let mut times: Vec<StageTime> = (self.begun.iter().rev())
            .map(|begun| {
                let (at, cpu_time) = std::mem::replace(&mut next, (begun.at, begun.cpu_time));
                let cpu_time = cpu_time
                    .zip(begun.cpu_time)
                    .map(|(end, begin)| end.saturating_sub(begin));
                StageTime {
                    stage: begun.stage,
                    seconds: rounded(at - begun.at),
                    cpu_seconds: cpu_time.map(rounded),
                }
            })
            .collect();
        times.reverse();
        times
    }

    fn now(&self) -> (Instant, Option<Duration>) {
        let cpu_time = match &self.cpu_time {
            Some(cpu_time) => cpu_time(),
            None => Some(Duration::ZERO),
        };
        (Instant::now(), cpu_time)
    }
}

/// Seconds to the tenth of a millisecond: more is noise, and a report has many of them.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_stage_lasts_until_the_next_begins() {
        let mut timeline = Timeline::new();
        advance(Duration::from_millis(1500)).await;
        let began = Instant::now();
        timeline.watch(Box::new(move || {
            Some(Duration::from_secs(1) + began.elapsed() / 2)
        }));
        timeline.begin(Stage::Connect);
        advance(Duration::from_millis(500)).await;
        timeline.begin(Stage::Load);
        advance(Duration::from_millis(100)).await;
        let times = timeline.end();
        let shown: Vec<_> = times
            .iter()
            .map(|time| (time.stage, time.seconds, time.cpu_seconds))
            .collect();
        assert_eq!(
            shown,
            [
                (Stage::Boot, 1.5, Some(1.0)),
                (Stage::Connect, 0.5, Some(0.25)),
                (Stage::Load, 0.1, Some(0.05)),
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_does_not_say_leaves_the_cpu_time_out() {
        let mut timeline = Timeline::new();
        timeline.watch(Box::new(|| None));
        timeline.begin(Stage::Connect);
        assert!(timeline.end().iter().all(|time| time.cpu_seconds.is_none()));
    }
}
