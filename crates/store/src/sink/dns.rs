//! Rows of `dns` from a message.

use std::fmt::Write;
use std::net::IpAddr;

use ottoscope_flow::Message;
use ottoscope_flow::wire::dns::{self, Data, Name, kind};

use crate::pseudonym::{AddressText, Pseudonyms};
use crate::tables::DnsRow;

/// Names of response codes (IANA DNS parameters).
const RCODES: &[&str] = &[
    "noerror", "formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "yxrrset",
    "nxrrset", "notauth", "notzone",
];

/// Written in place of what would tell a client's address.
const WITHHELD: &str = "~";

/// Texts of one row, reused.
#[derive(Default)]
pub(super) struct Scratch {
    name: String,
    answer: String,
    chain: String,
    qtype: String,
    answer_type: String,
    rcode: String,
}

/// What the flow says in every row of its messages.
pub(super) struct Ends<'a> {
    pub(super) client: &'a str,
    pub(super) server: &'a str,
    pub(super) transport: &'a str,
}

/// Calls `each` with one row per answer, or with one row where there are none.
pub(super) fn rows<E>(
    message: &Message<'_>,
    body: &dns::Message<'_>,
    ends: &Ends<'_>,
    names: &mut Pseudonyms,
    scratch: &mut Scratch,
    mut each: impl FnMut(&DnsRow<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let response = body.is_response();
    scratch.rcode.clear();
    match RCODES.get(usize::from(body.rcode())) {
        Some(name) => scratch.rcode.push_str(name),
        None => _ = write!(scratch.rcode, "{}", body.rcode()),
    }
    let asked_kind = body.asked_kind();
    let asked = asked_kind.map(|_| message.name.unwrap_or_default());
    if let Some(kind) = asked_kind {
        type_name(kind, &mut scratch.qtype);
    }
    // mDNS and LLMNR name the machines of a home.
    let at_home = message.protocol != "dns";

    // From the name asked for along aliases, where there are any.
    let chain = if response && has_aliases(body) { body.chain() } else { Vec::new() };
    // Smallest TTL up to each name of the chain.
    let mut ttls = vec![u32::MAX; chain.len()];
    for i in 1..chain.len() {
        let step = body.answers().find(|a| {
            a.owner == chain[i - 1] && matches!(&a.value, Data::Cname(to) if *to == chain[i])
        });
        ttls[i] = ttls[i - 1].min(step.map_or(u32::MAX, |a| a.ttl));
    }

    let mut any = false;
    // Whether the name asked for is what was put last, and then whether it is hidden.
    let mut put: Option<bool> = None;
    for record in body.answer_records().filter(|_| response) {
        let Ok(value) = record.data() else { continue };
        any = true;
        // Nobody where it is the name asked for.
        let owner = Some(record).filter(|record| asked.is_none() || !record.is_of_question());
        let owner = owner.map(|record| record.owner()).filter(|name| asked != Some(name.as_str()));
        let place = match &owner {
            None => Some(0),
            Some(owner) => chain.iter().position(|name| name == owner),
        };
        let hidden = match (place.and(asked), &owner) {
            (Some(asked), _) => {
                *put.get_or_insert_with(|| put_name(asked, names, &mut scratch.name))
            }
            (None, owner) => {
                put = None;
                let owner = owner.as_ref().map_or("", Name::as_str);
                put_name(owner, names, &mut scratch.name)
            }
        };
        scratch.chain.clear();
        for (i, step) in chain.iter().take(place.map_or(0, |p| p + 1)).enumerate().skip(1) {
            let comma = if i > 1 { "," } else { "" };
            let _ = write!(scratch.chain, "{comma}{}", step.as_str());
        }
        type_name(record.kind(), &mut scratch.answer_type);
        let known = put_answer(&value, hidden, at_home, names, &mut scratch.answer);
        let ttl = record.ttl().min(place.and_then(|p| ttls.get(p).copied()).unwrap_or(u32::MAX));
        each(&DnsRow {
            name: Some(&scratch.name),
            chain: (!scratch.chain.is_empty()).then_some(&scratch.chain),
            answer_type: Some(&scratch.answer_type),
            answer: known.then_some(&scratch.answer),
            ttl: Some(ttl),
            ..bare(message, body, ends, asked.is_some(), &scratch.rcode, &scratch.qtype)
        })?;
    }
    if any {
        return Ok(());
    }
    let others = if body.counts()[0] > 1 { Some(body.questions().skip(1)) } else { None };
    for question in body.question().into_iter().chain(others.into_iter().flatten()) {
        any = true;
        put_name(question.name.as_str(), names, &mut scratch.name);
        type_name(question.kind, &mut scratch.qtype);
        let row = bare(message, body, ends, true, &scratch.rcode, &scratch.qtype);
        each(&DnsRow { name: Some(&scratch.name), ..row })?;
    }
    if any {
        return Ok(());
    }
    each(&bare(message, body, ends, false, &scratch.rcode, ""))
}

/// Whether some answer is another name and not an address or the like.
fn has_aliases(body: &dns::Message<'_>) -> bool {
    body.records().any(|record| record.kind() == kind::CNAME)
}

/// A row without name and answer.
fn bare<'a>(
    message: &Message<'a>,
    body: &dns::Message<'_>,
    ends: &Ends<'a>,
    asks: bool,
    rcode: &'a str,
    qtype: &'a str,
) -> DnsRow<'a> {
    let response = body.is_response();
    DnsRow {
        at: message.at,
        flow: message.flow.id.0,
        client: ends.client,
        server: ends.server,
        transport: ends.transport,
        protocol: message.protocol,
        query_id: body.id(),
        kind: if response { "response" } else { "query" },
        rcode: response.then_some(rcode),
        name: None,
        qtype: asks.then_some(qtype),
        chain: None,
        answer_type: None,
        answer: None,
        ttl: None,
    }
}

fn type_name(code: u16, out: &mut String) {
    out.clear();
    match kind::name(code) {
        Some(name) => out.push_str(name),
        None => _ = write!(out, "TYPE{code}"),
    }
}

/// The name, or what stands for a PTR name of a client's address; whether it was such a one.
fn put_name(name: &str, names: &mut Pseudonyms, out: &mut String) -> bool {
    out.clear();
    let hidden = names.ptr_name(name, out);
    if !hidden {
        out.push_str(name);
    }
    hidden
}

/// The answer as text; false where it is of a type that is not told.
fn put_answer(
    data: &Data<'_>,
    hidden: bool,
    at_home: bool,
    names: &mut Pseudonyms,
    out: &mut String,
) -> bool {
    out.clear();
    if hidden {
        // The host name of a client's address often spells the address.
        out.push_str(WITHHELD);
        return true;
    }
    let mut address =
        |a: IpAddr| -> AddressText { if at_home { names.inner(a) } else { names.any(a) } };
    let _ = match data {
        Data::A(a) => out.write_str(address((*a).into()).as_str()),
        Data::Aaaa(a) => out.write_str(address((*a).into()).as_str()),
        Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => out.write_str(name.as_str()),
        Data::Srv { priority, weight, port, target } => {
            write!(out, "{priority} {weight} {port} {}", target.as_str())
        }
        Data::Service(service) => {
            let _ = write!(out, "{} {}", service.priority, service.target.as_str());
            for alpn in service.alpn() {
                let _ = write!(out, " alpn={}", alpn.escape_ascii());
            }
            for hint in service.hints() {
                let _ = write!(out, " hint={}", address(hint));
            }
            Ok(())
        }
        Data::Txt(len) => write!(out, "{len} bytes"),
        _ => return false,
    };
    true
}
