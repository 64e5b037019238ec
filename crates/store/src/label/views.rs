//! The columns that labelling reads.

use ottoscope_flow::Timestamp;

use crate::column::{Column, Text};
use crate::table::{Table, table};
use crate::users::Activity;

/// A view whose rows are dealt to workers by their client.
pub(super) trait Dealt: Table {
    /// The client of a row.
    fn client(columns: &Self::Columns, i: usize) -> &str;
    /// The server of a flow that may be labelled by what others resolved.
    fn asks(_columns: &Self::Columns, _i: usize) -> Option<&str> {
        None
    }
}

/// A view that tells users' sessions.
pub(super) trait Used: Dealt {
    /// What a row adds to its client's session.
    fn activity(columns: &Self::Columns, i: usize) -> Activity<'_>;
}

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

macro_rules! dealt {
    ($($view:ident, $columns:ident $(, $asks:item)?;)*) => { $(
        impl Dealt for $view {
            fn client(columns: &$columns, i: usize) -> &str {
                Text::get(&columns.client, i)
            }
            $($asks)?
        }
    )* };
}

dealt! {
    FlowView, FlowViewColumns, fn asks(columns: &FlowViewColumns, i: usize) -> Option<&str> {
        // A name of its own speaks before those that others resolved.
        if <Option<Text>>::get(&columns.server_name, i).is_some()
            || matches!(<Option<Text>>::get(&columns.protocol, i), Some("dns" | "mdns"))
        {
            return None;
        }
        Some(Text::get(&columns.server, i))
    };
    PlaceView, PlaceViewColumns;
    UseView, UseViewColumns;
}

macro_rules! used {
    ($($view:ident, $columns:ident;)*) => { $(
        impl Used for $view {
            fn activity(columns: &$columns, i: usize) -> Activity<'_> {
                Activity {
                    client: Text::get(&columns.client, i),
                    first: Timestamp::get(&columns.first, i),
                    last: Timestamp::get(&columns.last, i),
                    packets: u64::get(&columns.packets_up, i) + u64::get(&columns.packets_down, i),
                    bytes_up: u64::get(&columns.bytes_up, i),
                    bytes_down: u64::get(&columns.bytes_down, i),
                }
            }
        }
    )* };
}

used! {
    FlowView, FlowViewColumns;
    UseView, UseViewColumns;
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

/// What a row of `dns` is to the labeler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A name was asked for.
    Query,
    /// A name led to an address.
    Address,
    /// Neither.
    Other,
}

impl DnsView {
    /// What the row `i` is, by as few columns as possible.
    pub(super) fn role(columns: &DnsViewColumns, i: usize) -> Role {
        match Text::get(&columns.kind, i) {
            "query" => Role::Query,
            "response" => match <Option<Text>>::get(&columns.answer_type, i) {
                Some("A" | "AAAA") => Role::Address,
                _ => Role::Other,
            },
            _ => Role::Other,
        }
    }

    /// Whose the row `i` is.
    pub(super) fn client(columns: &DnsViewColumns, i: usize) -> &str {
        Text::get(&columns.client, i)
    }
}
