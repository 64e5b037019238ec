//! The columns that labelling reads.

use ottoscope_flow::Timestamp;

use crate::column::Text;
use crate::table::table;

table! {
    /// What labels rest on.
    pub(super) FlowView(FlowViewRow, FlowViewBuilder, FlowViewColumns) = "flows" by first, flow {
        /// As in `flows`.
        flow: u64,
        /// As in `flows`.
        first: Timestamp,
        /// As in `flows`.
        last: Timestamp,
        /// As in `flows`.
        transport: Text,
        /// As in `flows`.
        client: Text,
        /// As in `flows`.
        client_port: u16,
        /// As in `flows`.
        server: Text,
        /// As in `flows`.
        server_port: u16,
        /// As in `flows`.
        protocol: Option<Text>,
        /// As in `flows`.
        server_name: Option<Text>,
        /// As in `flows`.
        name_source: Option<Text>,
        /// As in `flows`.
        certificate_names: Option<Text>,
        /// As in `flows`.
        user_agent: Option<Text>,
        /// As in `flows`.
        signature: Option<Text>,
        /// As in `flows`.
        signature_broken: bool,
    }
}

table! {
    /// What feedback asks of a flow.
    pub(super) PlaceView(PlaceViewRow, PlaceViewBuilder, PlaceViewColumns) = "flows"
        by first, flow {
        /// As in `flows`.
        flow: u64,
        /// As in `flows`.
        first: Timestamp,
        /// As in `flows`.
        last: Timestamp,
        /// As in `flows`.
        transport: Text,
        /// As in `flows`.
        client: Text,
        /// As in `flows`.
        server: Text,
        /// As in `flows`.
        server_port: u16,
    }
}

table! {
    /// What users' sessions rest on.
    pub(super) UseView(UseViewRow, UseViewBuilder, UseViewColumns) = "flows" by first, flow {
        /// As in `flows`.
        flow: u64,
        /// As in `flows`.
        first: Timestamp,
        /// As in `flows`.
        last: Timestamp,
        /// As in `flows`.
        client: Text,
        /// As in `flows`.
        packets_up: u64,
        /// As in `flows`.
        packets_down: u64,
        /// As in `flows`.
        bytes_up: u64,
        /// As in `flows`.
        bytes_down: u64,
    }
}

table! {
    /// Whose a flow is.
    pub(super) ClientView(ClientViewRow, ClientViewBuilder, ClientViewColumns) = "flows"
        by first, flow {
        /// As in `flows`.
        flow: u64,
        /// As in `flows`.
        first: Timestamp,
        /// As in `flows`.
        client: Text,
    }
}

table! {
    /// Names asked and addresses learnt.
    pub(super) DnsView(DnsViewRow, DnsViewBuilder, DnsViewColumns) = "dns" by at, flow {
        /// As in `dns`.
        at: Timestamp,
        /// As in `dns`.
        flow: u64,
        /// As in `dns`.
        client: Text,
        /// As in `dns`.
        kind: Text,
        /// As in `dns`.
        name: Option<Text>,
        /// As in `dns`.
        chain: Option<Text>,
        /// As in `dns`.
        answer_type: Option<Text>,
        /// As in `dns`.
        answer: Option<Text>,
        /// As in `dns`.
        ttl: Option<u32>,
    }
}
