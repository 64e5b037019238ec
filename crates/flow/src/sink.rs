//! Where results go. The engine pushes, as it never waits for a consumer and never buffers:
//! a sink that needs order or batches keeps them itself.

use crate::model::{Anomaly, Bin, Flow, Message, Segment};

/// Receives what the engine makes of packets.
pub trait Sink {
    /// What can go wrong when rows are kept. Traffic itself never fails a run.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Called once when a flow has ended, with its final counts.
    fn flow(&mut self, flow: &Flow) -> Result<(), Self::Error>;

    /// Called for each application message, in order within its flow and direction.
    fn message(&mut self, _message: &Message<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called for each packet with payload, as it came and retransmissions too, where
    /// [`crate::Config::segments`] asks for it.
    fn segment(&mut self, _segment: &Segment<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called when a flow's second is over and had at least one packet.
    fn bin(&mut self, _bin: &Bin) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called once at the very end, on the worker's own thread: what is held may be written.
    fn end(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Called for each piece of traffic that could not be read.
    fn anomaly(&mut self, _anomaly: &Anomaly<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}
