//! `captures`: what was read.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One capture file or interface of one run.
    pub Captures(CaptureRow, CaptureBuilder, CaptureColumns) = "captures" {
        /// Path as given, or the interface's name.
        path: Text,
        /// `pcap`, `pcapng` or `live`.
        format: Text,
        /// `gzip`, `zstd`, `xz`; missing where none.
        compression: Option<Text>,
        /// Link types met, comma separated, as in `ethernet,linux-sll2`.
        link_types: Text,
        /// Packets read.
        packets: u64,
        /// Bytes of those packets on the wire.
        bytes: u64,
        /// Bytes of those packets that the capture holds.
        captured_bytes: u64,
        /// Size of the file in bytes, compressed as it is; 0 for an interface or a pipe.
        file_size: u64,
        /// Earliest packet.
        first: Option<Timestamp>,
        /// Latest packet.
        last: Option<Timestamp>,
        /// The file ends inside a record.
        truncated: bool,
        /// Packets that carry neither IPv4 nor IPv6.
        not_ip: u64,
        /// Packets whose link or network layer could not be read.
        undecoded: u64,
        /// Packets that the kernel or the capturing program says it dropped, where it says so.
        dropped: Option<u64>,
    }
}
