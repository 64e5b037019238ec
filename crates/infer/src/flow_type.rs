//! The paper's four types of flows, and which task shows in which (the ChatDissect paper, Table I).

use std::collections::BTreeMap;

use ottoscope_flow::Transport;

/// What kind of flow it is (the ChatDissect paper, III-B): the paper's W-DNS, W-HTTP, W-UDP and
/// W-TCP without saying whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlowType {
    /// HTTP by what is said in it.
    Http,
    /// UDP but not DNS.
    Udp,
    /// TCP but not HTTP.
    Tcp,
    /// To a name server's port, 53.
    Dns,
}

impl FlowType {
    /// All, in the order of Table I; DNS, which the table leaves out, last.
    pub const ALL: [FlowType; 4] = [FlowType::Http, FlowType::Udp, FlowType::Tcp, FlowType::Dns];

    /// Of a flow whose protocol the dissectors call `protocol`; `None` beside TCP and UDP.
    pub fn of(transport: Transport, server_port: u16, protocol: &str) -> Option<Self> {
        match transport {
            Transport::Tcp | Transport::Udp if server_port == 53 || protocol == "dns" => {
                Some(FlowType::Dns)
            }
            Transport::Tcp if protocol == "http" => Some(FlowType::Http),
            Transport::Tcp => Some(FlowType::Tcp),
            Transport::Udp => Some(FlowType::Udp),
            _ => None,
        }
    }

    /// `HTTP`, `UDP`, `TCP`, `DNS`.
    pub fn name(self) -> &'static str {
        match self {
            FlowType::Http => "HTTP",
            FlowType::Udp => "UDP",
            FlowType::Tcp => "TCP",
            FlowType::Dns => "DNS",
        }
    }
}

/// How often a task was done, and what showed meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFlows {
    /// Experiments.
    pub times: u64,
    /// Of these, how many had payload in flows of a type; by [`FlowType::ALL`].
    pub seen: [u64; 4],
    /// Payload bytes in flows of a type.
    pub bytes: [u64; 4],
}

/// Table I: tasks by name with the flow types that carried payload while they were done.
/// `experiments` are tasks in order of number, `payload` the number of an experiment, the type of
/// a flow and its payload bytes meanwhile, in any order.
pub fn flow_types<'a>(
    experiments: impl IntoIterator<Item = &'a str>,
    payload: impl IntoIterator<Item = (usize, FlowType, u64)>,
) -> BTreeMap<String, TaskFlows> {
    let tasks: Vec<&str> = experiments.into_iter().collect();
    let mut bytes = vec![[0_u64; 4]; tasks.len()];
    for (experiment, kind, more) in payload {
        if let Some(row) = bytes.get_mut(experiment) {
            row[kind as usize] += more;
        }
    }
    let mut table: BTreeMap<String, TaskFlows> = BTreeMap::new();
    for (task, bytes) in tasks.into_iter().zip(bytes) {
        let row = table.entry(task.to_owned()).or_default();
        row.times += 1;
        for (kind, more) in bytes.into_iter().enumerate() {
            row.seen[kind] += u64::from(more > 0);
            row.bytes[kind] += more;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_have_types() {
        let check = |transport, port, protocol: &str, expected| {
            assert_eq!(FlowType::of(transport, port, protocol), expected, "{protocol} {port}");
        };
        check(Transport::Udp, 53, "dns", Some(FlowType::Dns));
        check(Transport::Udp, 53, "", Some(FlowType::Dns));
        check(Transport::Tcp, 80, "http", Some(FlowType::Http));
        check(Transport::Tcp, 80, "", Some(FlowType::Tcp));
        check(Transport::Udp, 8080, "stun", Some(FlowType::Udp));
        check(Transport::Icmp, 0, "", None);
    }

    #[test]
    fn tasks_are_counted_by_experiment() {
        let table = flow_types(
            ["text", "call", "text"],
            [
                (0, FlowType::Tcp, 9),
                (0, FlowType::Tcp, 1),
                (1, FlowType::Udp, 5),
                (7, FlowType::Tcp, 1),
            ],
        );
        let text = &table["text"];
        assert_eq!((text.times, text.seen, text.bytes), (2, [0, 0, 1, 0], [0, 0, 10, 0]));
        assert_eq!(table["call"].seen, [0, 1, 0, 0]);
    }
}
