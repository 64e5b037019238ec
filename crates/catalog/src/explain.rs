//! Why a flow got its labels: every source asked, what it said, and why the winner won.

use std::fmt;

use ottoscope_flow::{FlowId, Transport};

use crate::evidence::{FlowEvidence, Label};

/// Notes taken while judging; taking none costs nothing.
#[derive(Debug)]
pub(crate) enum Trace {
    /// Nobody asked.
    Off,
    /// Steps so far.
    On(Vec<Step>),
}

impl Trace {
    pub(crate) fn step(&mut self, source: &'static str, said: impl FnOnce() -> String) {
        if let Trace::On(steps) = self {
            steps.push(Step { source, said: said() });
        }
    }
}

/// One source and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The source.
    pub source: &'static str,
    /// What it said, in words.
    pub said: String,
}

/// Why a flow got its labels. Its `Display` is the text of `label --explain`.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The flow.
    pub flow: FlowId,
    /// Server address, port and transport.
    pub server: (std::net::IpAddr, u16, Transport),
    /// Sources in the order asked.
    pub steps: Vec<Step>,
    /// The labels, best first.
    pub labels: Vec<Label>,
}

impl Explanation {
    pub(crate) fn new(flow: &FlowEvidence<'_>, trace: Trace, labels: Vec<Label>) -> Self {
        let steps = match trace {
            Trace::Off => Vec::new(),
            Trace::On(steps) => steps,
        };
        let server = (flow.server, flow.server_port, flow.transport);
        Explanation { flow: flow.flow, server, steps, labels }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, port, transport) = &self.server;
        writeln!(f, "flow {} to {address} port {port}/{transport}", self.flow)?;
        writeln!(f, "asked, in order of trust:")?;
        for step in &self.steps {
            writeln!(f, "  {:<12} {}", step.source, step.said)?;
        }
        let Some((winner, rest)) = self.labels.split_first() else {
            return writeln!(f, "no label: no source knows it");
        };
        let Label { app, service, task, evidence, confidence, detail } = winner;
        write!(f, "label: {app}")?;
        for part in [service, task].into_iter().flatten() {
            write!(f, " / {part}")?;
        }
        writeln!(f, ", {} {confidence:.2}: {detail}", evidence.name())?;
        for label in rest {
            writeln!(
                f,
                "conflict kept: {}, {} {:.2}: {}",
                label.app,
                label.evidence.name(),
                label.confidence,
                label.detail
            )?;
        }
        if let Some(second) = rest.first() {
            let why = if second.confidence < 0.5 && *confidence >= 0.5 {
                "the other evidence is weak".to_owned()
            } else if second.evidence == *evidence {
                "its evidence is the more certain, or the newer".to_owned()
            } else {
                format!("{} is trusted before {}", evidence.name(), second.evidence.name())
            };
            writeln!(f, "{app} wins: {why}")?;
        }
        Ok(())
    }
}
