//! Training under the eyes of a person: progress, Ctrl-C, time.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use ottoscope_learn::{Control, Epoch};

use crate::input;

/// Watches training.
pub(crate) struct Work {
    stop: Arc<AtomicBool>,
    #[allow(clippy::disallowed_types)] // what training costs is the machine's time, not traffic's
    start: Instant,
    shown: bool,
    terminal: bool,
}

impl Work {
    #[allow(clippy::disallowed_methods, clippy::disallowed_types)] // see `start`
    pub(crate) fn begin() -> Self {
        let terminal = io::stderr().is_terminal();
        Work { stop: input::stop_flag(), start: Instant::now(), shown: false, terminal }
    }

    /// Seconds since it began.
    pub(crate) fn clock(start: &Self) -> impl Fn() -> f64 + use<> {
        let start = start.start;
        move || start.elapsed().as_secs_f64()
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Told after each pass.
    pub(crate) fn pass(&mut self, model: &str, run: usize, epoch: &Epoch) -> Control {
        if self.terminal {
            let mut err = io::stderr().lock();
            let validation = epoch.validation.map_or_else(String::new, |(loss, accuracy)| {
                format!(", validation {loss:.4} {:.2} %", 100.0 * accuracy)
            });
            let _ = write!(
                err,
                "\r\x1b[K{model}, run {}, pass {}: loss {:.4}, {:.2} % right{validation}",
                run + 1,
                epoch.number,
                epoch.loss,
                100.0 * epoch.accuracy,
            );
            let _ = err.flush();
            self.shown = true;
        }
        if self.stopped() { Control::Stop } else { Control::Continue }
    }

    /// Clears the line.
    pub(crate) fn end(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.end();
    }
}
