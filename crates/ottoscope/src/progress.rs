//! What a person sees while long work goes on: on standard error, and only on a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ottoscope_flow::capture::Progress;

/// How often the bar moves.
const EVERY: Duration = Duration::from_millis(150);

/// A bar that follows the reading of captures; gone when dropped.
pub(crate) struct ReadingBar {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReadingBar {
    /// Shows a bar, where standard error is a terminal.
    pub(crate) fn show(progress: Arc<Progress>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let thread = io::stderr().is_terminal().then(|| {
            let done = Arc::clone(&done);
            std::thread::spawn(move || follow(&progress, &done))
        });
        ReadingBar { done, thread }
    }
}

fn follow(progress: &Progress, done: &AtomicBool) {
    let total = progress.total.load(Ordering::Relaxed);
    let (bar, style) = if total > 0 {
        let style = "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
        (ProgressBar::new(total), style)
    } else {
        (ProgressBar::new_spinner(), "{spinner} {bytes} read, {elapsed}")
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    while !done.load(Ordering::Relaxed) {
        bar.set_position(progress.done.load(Ordering::Relaxed));
        std::thread::park_timeout(EVERY);
    }
    bar.finish_and_clear();
}

impl Drop for ReadingBar {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Says a line on standard error.
pub(crate) fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{text}");
}
