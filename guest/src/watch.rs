//! Watches what the processes of a command ask the kernel's BPF subsystem.
//!
//! A seccomp filter stops each process at the calls that load, create and attach. While it waits, the
//! agent reads the arguments and duplicates the descriptors; then the call goes on in the kernel as it
//! is. What it returned is read from the kernel's tracepoints at the end of system calls. A load that
//! was refused is asked for once more by the agent, with a log, so that it can be judged as that of an
//! object, whatever library asked for it.
//!
//! Why not another way: ptrace(2) has room for one tracer, so a debugger in the command would no longer
//! work, and it stops a process at each of its signals. A BPF program of the agent's would be among the
//! programs that the command lists, and cannot read a million instructions of a load. The filter has two
//! visible effects: `Seccomp` in `/proc/PID/status` is 2, and a command cannot have a listener of its
//! own for seccomp notifications.

mod attributes;
mod filter;
mod netlink;
mod object_info;
mod places;
mod program_load;
mod record;
mod results;
mod stopped;

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libbpf_sys as sys;
use ukci_schema::evidence::Evidence;
use ukci_schema::watched::Attachment;

use attributes::Attributes;
pub use filter::{Filter, Receiver};
use places::{Event, Events};
use program_load::ProgramLoad;
use record::Record;
use results::{Ended, Results};
use stopped::{Process, Stopped};

/// `_IOW('$', 8, __u32)`.
pub(crate) const PERF_EVENT_IOC_SET_BPF: u32 = 0x4004_2408;

/// How many calls may wait for their end at a time. The end of one whose process was killed never
/// comes.
const MOST_RUNNING: usize = 4096;

/// The filter for a child that is about to become a command, and where its listener arrives.
pub fn prepare() -> std::io::Result<(Filter, Receiver)> {
    filter::new()
}

/// A call that was let go on, and whose result is awaited.
#[derive(Debug)]
struct Running {
    nr: i64,
    call: Call,
}

#[derive(Debug)]
enum Call {
    Load(Box<ProgramLoad>),
    CreateMap(Box<Attributes>),
    /// `perf_event_open` of an event for programs.
    OpenEvent(Process, Event),
    Attach(Attempt),
    /// An attachment through rtnetlink, whose answer comes later.
    Send(Box<netlink::Request>, Attempt),
}

/// An attachment that a process asked for.
#[derive(Debug)]
struct Attempt {
    /// The kernel's id of the program.
    program: Option<u32>,
    event: Event,
    /// The process and the number of the perf event that it names.
    perf_event: Option<(i32, RawFd)>,
}

/// Watches one command.
#[derive(Debug)]
pub struct Watcher {
    listener: Option<OwnedFd>,
    results: Option<Results>,
    /// By thread.
    running: BTreeMap<i32, Running>,
    events: Option<Events>,
    record: Record,
}

impl Watcher {
    /// Begins to watch a command that has just been started with a [`Filter`].
    pub fn begin(receiver: Receiver) -> Self {
        let mut record = Record::default();
        let listener = match receiver.receive() {
            Ok(listener) => Some(listener),
            Err(error) => {
                record.incomplete(format!(
                    "the kernel lets nobody watch calls (seccomp): {error}"
                ));
                None
            }
        };
        Self {
            listener,
            results: None,
            running: BTreeMap::new(),
            events: None,
            record,
        }
    }

    /// Descriptors that can be read when there is something to [`serve`](Self::serve).
    pub fn descriptors(&self) -> Vec<RawFd> {
        let listener = self.listener.iter().map(AsRawFd::as_raw_fd);
        let results = self.results.iter().flat_map(Results::descriptors);
        listener.chain(results).collect()
    }

    /// Takes note of calls that have ended, and lets one that waits go on. `ready` is what poll(2)
    /// says of the first descriptor.
    pub fn serve(&mut self, ready: i16) {
        self.collect();
        let stopped = ready & libc::POLLIN != 0;
        if stopped && let Some(listener) = self.listener.take() {
            if let Ok(call) = stopped::next(&listener) {
                // A thread's former call ended before it could make the next one.
                self.collect();
                self.begin_call(&call, &listener);
            }
            self.listener = Some(listener);
        }
        if !stopped && ready & libc::POLLHUP != 0 {
            // No process is left that could be stopped.
            self.listener = None;
        }
    }

    /// What was seen, once all processes have ended. `said` is what libbpf printed.
    pub fn finish(mut self, said: &str, evidence: &mut Evidence) {
        self.collect();
        self.record.finish(said, evidence);
    }

    fn begin_call(&mut self, stopped: &Stopped, listener: &OwnedFd) {
        let (is_message, sent) = match stopped.nr {
            libc::SYS_sendmsg | libc::SYS_sendto => (true, sent(stopped)),
            // What was sent before has been answered, and the answer was looked at.
            libc::SYS_recvmsg | libc::SYS_recvfrom => (true, None),
            _ => (false, None),
        };
        if is_message && sent.is_none() {
            stopped.go_on(listener);
            return;
        }
        self.record.calls += 1;
        if self.results.is_none() && !self.record.is_incomplete() {
            match Results::open() {
                Ok(results) => self.results = Some(results),
                Err(why) => self
                    .record
                    .incomplete(format!("no results of calls were seen: {why}")),
            }
        }
        let call = match (&self.results, sent) {
            (Some(_), Some(sent)) => Some(sent),
            (Some(_), None) => self.call(stopped),
            (None, _) => None,
        };
        let Some(call) = call.filter(|_| self.running.len() < MOST_RUNNING) else {
            stopped.go_on(listener);
            return;
        };
        let nr = stopped.nr;
        if let Some(results) = &mut self.results {
            results.expect(nr);
        }
        // One that was never seen to end was interrupted before it began.
        if let Some(lost) = self.running.insert(stopped.thread, Running { nr, call }) {
            self.forget(lost.nr);
        }
        if !stopped.go_on(listener) && self.running.remove(&stopped.thread).is_some() {
            self.forget(nr);
        }
    }

    fn forget(&mut self, nr: i64) {
        if let Some(results) = &mut self.results {
            results.forget(nr);
        }
    }

    /// What a stopped call asks for, if its result matters.
    fn call(&mut self, stopped: &Stopped) -> Option<Call> {
        let [first, second, third, fourth, ..] = stopped.args;
        let mut process = Process::of(stopped.thread);
        let number = |argument: u64| u32::try_from(argument & 0xffff_ffff).unwrap_or(0);
        let fd = |argument: u64| number(argument).cast_signed();
        match stopped.nr {
            nr if nr == libc::SYS_bpf => {
                let size = usize::try_from(third).unwrap_or(0).min(Attributes::MOST);
                let attributes = Attributes::new(&process.read(second, size));
                self.bpf(number(first), attributes, process)
            }
            nr if nr == libc::SYS_perf_event_open => {
                let attributes = Attributes::new(&process.read(first, 72));
                let events = self.events.get_or_insert_with(Events::new);
                let event = events.of(&attributes, &process);
                Some(Call::OpenEvent(process, event))
            }
            nr if nr == libc::SYS_ioctl => Some(Call::Attach(Attempt {
                program: process.borrow(fd(third)).and_then(record::program_id),
                event: Event::default(),
                perf_event: Some((process.id, fd(first))),
            })),
            nr if nr == libc::SYS_setsockopt => {
                let program = attributes::u32_at(&process.read(fourth, 4), 0).cast_signed();
                Some(Call::Attach(Attempt {
                    program: process.borrow(program).and_then(record::program_id),
                    event: Event {
                        kind: "socket".into(),
                        place: None,
                    },
                    perf_event: None,
                }))
            }
            _ => None,
        }
    }

    fn bpf(&mut self, command: u32, attributes: Attributes, mut process: Process) -> Option<Call> {
        let mut attempt = |program: usize, event: Event| Attempt {
            program: process
                .borrow(attributes.fd(program))
                .and_then(record::program_id),
            event,
            perf_event: None,
        };
        let named = |kind: &str, place: Option<String>| Event {
            kind: kind.into(),
            place,
        };
        match command {
            sys::BPF_PROG_LOAD => Some(Call::Load(Box::new(ProgramLoad::new(attributes, process)))),
            sys::BPF_MAP_CREATE => Some(Call::CreateMap(Box::new(attributes))),
            sys::BPF_MAP_FREEZE => {
                let map = process.borrow(attributes.fd(0))?;
                self.record.frozen(map);
                None
            }
            sys::BPF_RAW_TRACEPOINT_OPEN => {
                let mut attempt = attempt(8, Event::default());
                // Without a name, the program's load said what it is attached to.
                if let Some(name) = process.string(attributes.u64(0), 128) {
                    attempt.event = named("raw_tp", Some(name));
                }
                Some(Call::Attach(attempt))
            }
            sys::BPF_PROG_ATTACH => Some(Call::Attach(attempt(4, Event::default()))),
            sys::BPF_LINK_CREATE => {
                let mut attempt = attempt(0, Event::default());
                match attributes.u32(8) {
                    sys::BPF_PERF_EVENT => {
                        attempt.perf_event = Some((process.id, attributes.fd(4)));
                    }
                    sys::BPF_TRACE_KPROBE_MULTI | sys::BPF_TRACE_KPROBE_SESSION => {
                        let symbols = places::symbols(&attributes, &process);
                        attempt.event = named("kprobe.multi", symbols);
                    }
                    sys::BPF_TRACE_UPROBE_MULTI | sys::BPF_TRACE_UPROBE_SESSION => {
                        let path = process.string(attributes.u64(16), 4096);
                        attempt.event = named("uprobe.multi", path);
                    }
                    sys::BPF_TCX_INGRESS => attempt.event = named("tcx/ingress", None),
                    sys::BPF_TCX_EGRESS => attempt.event = named("tcx/egress", None),
                    _ => {}
                }
                Some(Call::Attach(attempt))
            }
            _ => None,
        }
    }

    /// Takes note of the calls that have ended.
    fn collect(&mut self) {
        let Some(results) = &mut self.results else {
            return;
        };
        let (ended, lost) = results.take();
        if lost > 0 {
            self.record
                .incomplete(format!("the results of {lost} calls were lost"));
        }
        for Ended { thread, nr, value } in ended {
            let is_it = |running: &Running| running.nr == nr;
            if !self.running.get(&thread).is_some_and(is_it) {
                continue;
            }
            if let Some(running) = self.running.remove(&thread) {
                self.forget(nr);
                self.end(running.call, value);
            }
        }
    }

    fn end(&mut self, call: Call, value: i64) {
        /// From `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`: the call was interrupted, and is made again.
        const RESTARTED: std::ops::RangeInclusive<i32> = 512..=516;
        let fd = RawFd::try_from(value).unwrap_or(-1);
        let result = match i32::try_from(-value) {
            Ok(errno) if errno > 0 => Err(errno),
            _ => Ok(()),
        };
        if result.is_err_and(|errno| RESTARTED.contains(&errno)) {
            return;
        }
        match call {
            Call::Load(load) => self.record.load(*load, result.map(|()| fd)),
            Call::CreateMap(attributes) => self.record.map(&attributes, result),
            Call::OpenEvent(process, event) => match result {
                Ok(()) => self.record.event(process.id, fd, event),
                Err(errno) => self.record.attachment(
                    None,
                    Attachment {
                        program: None,
                        kind: event.kind,
                        place: event.place,
                        errno: Some(errno),
                    },
                ),
            },
            Call::Attach(attempt) => {
                let errno = result.err();
                self.record.attempt(attempt, errno);
            }
            Call::Send(request, attempt) => {
                match result.err().map_or_else(|| request.errno(), Some) {
                    Some(0) => self.record.attempt(attempt, None),
                    Some(errno) => self.record.attempt(attempt, Some(errno)),
                    None => self.record.incomplete(format!(
                        "the kernel's answer to an attachment to {} was not seen",
                        request.place
                    )),
                }
            }
        }
    }
}

/// What a call is about to send, if it attaches a program.
fn sent(stopped: &Stopped) -> Option<Call> {
    let mut process = None;
    let request = netlink::Request::of(stopped, &mut process)?;
    let attempt = Attempt {
        program: (process.as_mut())
            .and_then(|process| process.borrow(request.program))
            .and_then(record::program_id),
        event: Event {
            kind: request.kind.into(),
            place: Some(request.place.clone()),
        },
        perf_event: None,
    };
    Some(Call::Send(Box::new(request), attempt))
}
