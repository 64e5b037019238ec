//! `dns`: who asked for which name, and what was answered.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// One answer of a DNS message, or one row for a message without answers.
    pub Dns(DnsRow, DnsBuilder, DnsColumns) = "dns" by at, flow {
        /// When the message was seen.
        at: Timestamp,
        /// The flow that carried it.
        flow: u64,
        /// Client's address, as in `flows`.
        client: Text,
        /// Server's address, as in `flows`.
        server: Text,
        /// `udp` or `tcp`.
        transport: Text,
        /// `dns` or `mdns`.
        protocol: Text,
        /// Transaction id.
        query_id: u16,
        /// `query` or `response`.
        kind: Text,
        /// Response code: `noerror`, `nxdomain` ... or its number.
        rcode: Option<Text>,
        /// Name in question, lower case; PTR names of client addresses hold the pseudonym.
        name: Option<Text>,
        /// Type in question: `A`, `AAAA`, `HTTPS` ... or `TYPEn`.
        qtype: Option<Text>,
        /// Names passed on the way from `name` to the answer by CNAME, comma separated,
        /// `name` excluded.
        chain: Option<Text>,
        /// Type of the answer.
        answer_type: Option<Text>,
        /// The answer: an address, a name, or another type's text.
        answer: Option<Text>,
        /// Seconds that the answer may be kept: the smallest of its chain.
        ttl: Option<u32>,
    }
}
