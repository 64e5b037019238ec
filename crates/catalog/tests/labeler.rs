//! The labeler on the shipped catalogue: every source, their order, and what keeps background
//! traffic unlabelled.

#![allow(clippy::unwrap_used)] // a failed unwrap here is a failed test

use std::net::IpAddr;
use std::sync::Arc;

use ottoscope_catalog::{
    AllNames, Catalog, Client, Evidence, Feedback, FlowEvidence, Label, Labeler, LabelerConfig,
    NameLearned, Names,
};
use ottoscope_flow::{FlowId, Span, Timestamp, Transport};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_500_000_000 + seconds, 0)
}

fn labeler() -> Labeler {
    Labeler::new(Arc::new(Catalog::builtin().unwrap()), LabelerConfig::default())
}

fn flow<'a>(second: i64, client: &'a str, server: &str, port: u16) -> FlowEvidence<'a> {
    let server: IpAddr = server.parse().unwrap();
    let times = (at(second), at(second + 60));
    FlowEvidence::bare(FlowId(1), times, client, (server, port), Transport::Tcp)
}

fn learn(labeler: &mut Labeler, second: i64, client: &str, names: &[&str], address: &str) {
    let addresses = [address.parse().unwrap()];
    let at = at(second);
    labeler.name_learned(&NameLearned {
        at,
        client,
        names,
        addresses: &addresses,
        ttl: 60,
        over_http: false,
    });
}

/// Labels as `app/service evidence`, best first.
fn said(labeler: &mut Labeler, flow: &FlowEvidence<'_>) -> Vec<String> {
    let mut labels = Vec::new();
    labeler.flow(flow, &mut labels);
    for pair in labels.windows(2) {
        assert!(pair[0].confidence >= pair[1].confidence, "{labels:?}");
    }
    labels.iter().map(text).collect()
}

fn text(label: &Label) -> String {
    assert!((0.0..1.0).contains(&label.confidence), "{label:?}");
    let service = label.service.as_deref().unwrap_or("-");
    format!("{}/{service} {}", label.app, label.evidence.name())
}

#[test]
fn protocols_of_one_app() {
    for (protocol, label) in [
        ("qq-video", "qq/call signature"),
        ("qq-2005", "qq/call signature"),
        ("qq-today", "qq/call signature"),
        ("oicq", "qq/chat signature"),
    ] {
        let flow = FlowEvidence { protocol, ..flow(0, "u", "203.0.113.9", 443) };
        assert_eq!(said(&mut labeler(), &flow), [label]);
    }
}

#[test]
fn the_flow_s_own_words() {
    let mut l = labeler();
    let bare = flow(0, "u", "203.0.113.9", 443);
    let mut check = |flow: FlowEvidence<'_>, expected: &[&str]| {
        assert_eq!(said(&mut l, &flow), expected, "{flow:?}");
    };
    check(bare, &[]);
    check(FlowEvidence { server_name: Some("e7.whatsapp.net"), ..bare }, &["whatsapp/chat sni"]);
    check(
        FlowEvidence {
            server_name: Some("media.fmvd1-1.fna.whatsapp.net"),
            name_source: Some("quic"),
            ..bare
        },
        &["whatsapp/media quic"],
    );
    check(FlowEvidence { server_name: Some("www.example.com"), ..bare }, &[]);
    check(
        FlowEvidence {
            server_name: Some("short.weixin.qq.com:80"),
            name_source: Some("host"),
            ..bare
        },
        &["wechat/short http-host"],
    );
    check(FlowEvidence { signature: Some("wechat/mmtls"), ..bare }, &["wechat/long signature"]);
    check(FlowEvidence { protocol: "mmtls", ..bare }, &["wechat/long signature"]);
    check(FlowEvidence { protocol: "tls", ..bare }, &[]);
    check(FlowEvidence { signature: Some("nobody/knows"), ..bare }, &[]);
    check(
        FlowEvidence { certificate_names: Names::Text("*.whatsapp.net,whatsapp.net"), ..bare },
        &["whatsapp/- certificate"],
    );
    // The company's certificate speaks for several apps.
    let company = Names::List(&["*.facebook.com", "*.whatsapp.net", "*.instagram.com"]);
    assert_eq!(said(&mut labeler(), &FlowEvidence { certificate_names: company, ..bare }).len(), 3);
    let named =
        FlowEvidence { certificate_names: company, server_name: Some("i.instagram.com"), ..bare };
    assert_eq!(said(&mut labeler(), &named), ["instagram/api sni"]);
    // A certificate that covers the other server asked for says nothing of the app; one that does
    // not is at odds with it and counts.
    let other = FlowEvidence { server_name: Some("a.telemetry.example"), ..bare };
    let covering = Names::List(&["*.telemetry.example", "*.pipe.skype.com"]);
    let told = FlowEvidence { certificate_names: covering, ..other };
    assert!(said(&mut labeler(), &told).is_empty());
    let told = FlowEvidence { certificate_names: Names::List(&["*.whatsapp.net"]), ..other };
    assert_eq!(said(&mut labeler(), &told), ["whatsapp/- certificate"]);
    // A page opened inside the app belongs to it by its user agent.
    let agent = Some("Mozilla/5.0 (Linux) MicroMessenger/6.1.0.73");
    let page = FlowEvidence {
        server_name: Some("news.example.com"),
        name_source: Some("host"),
        user_agent: agent,
        ..bare
    };
    assert_eq!(said(&mut labeler(), &page), ["wechat/third-party user-agent"]);
    let own = FlowEvidence {
        server_name: Some("mp.weixin.qq.com"),
        name_source: Some("host"),
        user_agent: agent,
        ..bare
    };
    assert_eq!(said(&mut labeler(), &own), ["wechat/official-accounts http-host"]);
}

#[test]
fn tasks_by_path() {
    let mut l = labeler();
    let mut labels = Vec::new();
    let request = FlowEvidence {
        server_name: Some("hkshort.weixin.qq.com"),
        name_source: Some("host"),
        url_path: Some("/cgi-bin/micromsg-bin/uploadmsgimg"),
        ..flow(0, "u", "203.0.113.9", 80)
    };
    l.flow(&request, &mut labels);
    assert_eq!(labels[0].task.as_deref(), Some("send picture"));
    let catalog = l.catalog();
    let task = |opcode| catalog.task_of_opcode("wechat/w-tcp", opcode).map(|t| t.name.to_string());
    assert_eq!(task(9).as_deref(), Some("send picture"));
    assert_eq!(task(237).as_deref(), Some("send text"));
    assert_eq!(task(60_000), None);
}

#[test]
fn the_dns_map_holds_per_user_and_time() {
    let mut l = labeler();
    learn(&mut l, 0, "u", &["e7.whatsapp.net"], "198.51.100.7");
    let mut check = |second, client, expected: &[&str]| {
        assert_eq!(
            said(&mut l, &flow(second, client, "198.51.100.7", 8443)),
            expected,
            "{second} {client}"
        );
    };
    check(-1, "u", &[]);
    check(0, "u", &["whatsapp/chat dns"]);
    check(60 + 7_200, "u", &["whatsapp/chat dns"]);
    check(61 + 7_200, "u", &[]);
    check(10, "v", &["whatsapp/chat dns-others"]);
    let config = LabelerConfig { other_users: false, ..LabelerConfig::default() };
    let mut alone = Labeler::new(Arc::new(Catalog::builtin().unwrap()), config);
    learn(&mut alone, 0, "u", &["e7.whatsapp.net"], "198.51.100.7");
    assert!(said(&mut alone, &flow(10, "v", "198.51.100.7", 443)).is_empty());
}

#[test]
fn cname_chains_are_followed() {
    let mut l = labeler();
    learn(&mut l, 0, "u", &["cdn.example.com", "mmx-ds.cdn.whatsapp.net"], "198.51.100.7");
    let mut labels = Vec::new();
    l.flow(&flow(1, "u", "198.51.100.7", 8443), &mut labels);
    assert_eq!(text(&labels[0]), "whatsapp/media dns");
    assert!(labels[0].confidence < Evidence::Dns.confidence());
}

#[test]
fn shared_addresses_keep_the_conflict() {
    let mut l = labeler();
    learn(&mut l, 0, "u", &["mmg.whatsapp.net"], "157.240.1.60");
    learn(&mut l, 1, "u", &["www.messenger.com"], "157.240.1.60");
    let both = said(&mut l, &flow(2, "u", "157.240.1.60", 443));
    assert_eq!(both, ["messenger/- dns", "whatsapp/media dns"]);
    // A name of no app at the same address lowers the confidence.
    let mut l = labeler();
    learn(&mut l, 0, "u", &["mmg.whatsapp.net"], "157.240.1.60");
    learn(&mut l, 1, "u", &["www.example.com"], "157.240.1.60");
    let mut labels = Vec::new();
    l.flow(&flow(2, "u", "157.240.1.60", 8443), &mut labels);
    assert!(labels[0].confidence < 0.6, "{labels:?}");
    // The flow's own words decide.
    let named =
        FlowEvidence { server_name: Some("www.example.com"), ..flow(2, "u", "157.240.1.60", 443) };
    assert!(said(&mut l, &named).is_empty());
    let named = FlowEvidence { server_name: Some("mmg.whatsapp.net"), ..named };
    assert_eq!(said(&mut l, &named), ["whatsapp/media sni"]);
}

#[test]
fn prefixes_are_weak() {
    let mut l = labeler();
    let udp = |second, server| FlowEvidence {
        transport: Transport::Udp,
        protocol: "stun",
        ..flow(second, "u", server, 3478)
    };
    assert_eq!(said(&mut l, &udp(0, "185.60.216.2")), ["whatsapp/call prefix"]);
    assert_eq!(said(&mut l, &flow(0, "u", "149.154.167.50", 443)), ["telegram/chat prefix"]);
    // What the user resolved last speaks against the prefix.
    learn(&mut l, 1, "u", &["www.example.com"], "149.154.167.50");
    assert!(said(&mut l, &flow(2, "u", "149.154.167.50", 443)).is_empty());
    let named = FlowEvidence {
        server_name: Some("www.example.com"),
        ..flow(0, "v", "149.154.167.50", 443)
    };
    assert!(said(&mut l, &named).is_empty());
    let dns = FlowEvidence { protocol: "dns", ..flow(0, "v", "149.154.167.50", 443) };
    assert!(said(&mut l, &dns).is_empty());
    // A port alone is nothing.
    assert!(said(&mut l, &flow(0, "u", "203.0.113.9", 5222)).is_empty());
}

#[test]
fn calls_teach_their_relay() {
    let mut l = labeler();
    let media = |second, client| FlowEvidence {
        transport: Transport::Udp,
        ..flow(second, client, "203.0.113.48", 40_000)
    };
    assert!(said(&mut l, &media(0, "u")).is_empty());
    l.stun_seen(at(0), Client::of("u"), "203.0.113.48".parse().unwrap(), 0x0001);
    assert!(said(&mut l, &media(1, "u")).is_empty());
    l.stun_seen(at(1), Client::of("u"), "203.0.113.48".parse().unwrap(), 0x0802);
    assert_eq!(said(&mut l, &media(2, "u")), ["whatsapp/call stun-relay"]);
    assert!(said(&mut l, &media(2, "v")).is_empty());
    assert!(said(&mut l, &media(700, "u")).is_empty());
    assert!(said(&mut l, &media(-700, "u")).is_empty());
    let setup = FlowEvidence { signature: Some("discord/ip-discovery"), ..media(3, "w") };
    assert_eq!(said(&mut l, &setup), ["discord/call signature"]);
    assert_eq!(said(&mut l, &media(10, "w")), ["discord/call stun-relay"]);
}

#[test]
fn resolvers_are_labelled_by_what_is_asked() {
    let mut l = labeler();
    let names = ["e7.whatsapp.net", "e8.whatsapp.net"];
    let dns = FlowEvidence {
        protocol: "dns",
        queried: Names::List(&names),
        ..flow(0, "u", "192.0.2.53", 53)
    };
    assert_eq!(said(&mut l, &dns), ["whatsapp/dns dns-query"]);
    let names = ["e7.whatsapp.net", "short.weixin.qq.com", "www.example.com"];
    let dns = FlowEvidence { queried: Names::List(&names), ..dns };
    assert_eq!(said(&mut l, &dns), ["wechat/dns dns-query", "whatsapp/dns dns-query"]);
}

/// Flows of two users at one chat server, one of them named, and a shared front end.
fn for_feedback() -> Vec<FlowEvidence<'static>> {
    let named =
        FlowEvidence { server_name: Some("g.whatsapp.net"), ..flow(0, "u", "198.51.100.1", 443) };
    vec![
        named,
        FlowEvidence { flow: FlowId(2), ..flow(100, "u", "198.51.100.1", 443) },
        FlowEvidence { flow: FlowId(3), ..flow(200, "v", "198.51.100.1", 443) },
        FlowEvidence { flow: FlowId(4), ..flow(300, "v", "198.51.100.1", 80) },
        FlowEvidence { flow: FlowId(5), ..flow(9_000_000, "v", "198.51.100.1", 443) },
        FlowEvidence {
            flow: FlowId(6),
            server_name: Some("mmg.whatsapp.net"),
            ..flow(0, "u", "198.51.100.2", 443)
        },
        FlowEvidence {
            flow: FlowId(7),
            server_name: Some("www.example.com"),
            ..flow(0, "v", "198.51.100.2", 443)
        },
        FlowEvidence { flow: FlowId(8), ..flow(10, "w", "198.51.100.2", 443) },
        FlowEvidence { flow: FlowId(9), ..flow(10, "u", "198.51.100.2", 443) },
    ]
}

#[test]
fn feedback_hangs_on_neither_order_nor_workers() {
    let flows = for_feedback();
    let window = Span::from_seconds(86_400);
    let collect = |flows: &[FlowEvidence<'_>], capacity| {
        let mut l = labeler();
        let mut feedback = Feedback::new(window, capacity);
        let mut labels = Vec::new();
        for flow in flows {
            l.flow(flow, &mut labels);
            feedback.learn(flow, &labels);
        }
        feedback
    };
    let answers = |feedback: &Feedback| -> Vec<Option<String>> {
        flows.iter().map(|flow| feedback.label(flow).map(|label| text(&label))).collect()
    };
    let once = collect(&flows, 1_000);
    let user = Some("whatsapp/chat feedback-user".to_owned());
    let others = Some("whatsapp/chat feedback".to_owned());
    let own = Some("whatsapp/media feedback-user".to_owned());
    assert_eq!(answers(&once), [None, user, others, None, None, None, None, None, own]);

    let mut backwards = flows.clone();
    backwards.reverse();
    assert_eq!(answers(&collect(&backwards, 1_000)), answers(&once));
    let (left, right) = flows.split_at(4);
    for (a, b) in [(left, right), (right, left)] {
        let mut merged = collect(a, 1_000);
        merged.merge(&collect(b, 1_000));
        assert_eq!(answers(&merged), answers(&once));
    }
    for capacity in 1..6 {
        let mut merged = collect(left, capacity);
        merged.merge(&collect(right, capacity));
        assert_eq!(answers(&merged), answers(&collect(&flows, capacity)), "{capacity}");
        assert_eq!(answers(&collect(&backwards, capacity)), answers(&merged), "{capacity}");
    }
    // Each worker sees all flows of some users, and all workers' flows at a server.
    let of = |names: &[&str]| -> Vec<FlowEvidence<'_>> {
        flows.iter().filter(|flow| names.contains(&flow.client.name())).copied().collect()
    };
    let mut workers =
        [["u"].as_slice(), &["v", "w"]].map(|names| (names, collect(&of(names), 1_000)));
    let mut servers = Feedback::new(window, 1_000);
    workers.iter_mut().for_each(|(_, worker)| servers.take_servers(worker));
    let said: Vec<Option<String>> = flows
        .iter()
        .map(|flow| {
            let (_, own) = workers.iter().find(|(n, _)| n.contains(&flow.client.name())).unwrap();
            own.label_beside(&servers, flow).map(|label| text(&label))
        })
        .collect();
    assert_eq!(said, answers(&once));
}

#[test]
fn what_others_resolved_may_be_kept_by_the_caller() {
    let answer = |client, address| NameLearned {
        at: at(0),
        client,
        names: &["e7.whatsapp.net"],
        addresses: address,
        ttl: 60,
        over_http: false,
    };
    let address = ["198.51.100.7".parse().unwrap()];
    let config = LabelerConfig::default();
    let mut all = AllNames::new(config.max_names, config.dns_grace, config.keep);
    all.learn(&answer("v", &address));
    let bare = flow(10, "u", "198.51.100.7", 443);
    let heard = all.of(bare.server, bare.first).map(|heard| &**heard);
    assert_eq!(said(&mut labeler(), &bare), [""; 0]);
    let told = said(&mut labeler(), &FlowEvidence { heard, ..bare });
    assert_eq!(told, ["whatsapp/chat dns-others"]);
    // The same as a labeler that was told of all answers says.
    let mut l = labeler();
    l.name_learned(&answer("v", &address));
    assert_eq!(said(&mut l, &bare), told);
    let mut l = labeler();
    l.own_name_learned(&answer("u", &address));
    assert_eq!(said(&mut l, &bare), ["whatsapp/chat dns"]);
    assert_eq!(said(&mut l, &flow(10, "v", "198.51.100.7", 443)), [""; 0]);
}

#[test]
fn an_explanation_names_every_source_and_the_reason() {
    let mut l = labeler();
    learn(&mut l, 0, "u", &["www.messenger.com"], "157.240.1.60");
    let flow =
        FlowEvidence { server_name: Some("mmg.whatsapp.net"), ..flow(5, "u", "157.240.1.60", 443) };
    let text = l.explain(&flow).to_string();
    for part in [
        "signature    no layout of the catalogue matched",
        "sni          mmg.whatsapp.net matches mmg*.whatsapp.net of whatsapp",
        "certificate  none was seen",
        "dns          user resolved www.messenger.com 5 s before: messenger by .messenger.com",
        "label: whatsapp / media / encrypted media, sni 0.95",
        "conflict kept: messenger, dns 0.85",
        "whatsapp wins: sni is trusted before dns",
    ] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn an_app_of_toml_alone_works() {
    let files = [(
        "mine.toml",
        r#"
        [app]
        id = "mine"
        name = "Mine"
        [[name]]
        pattern = ["*.mine.example", "{a,b}#.mine.test"]
        service = "chat"
        source = "seen in my laboratory"
        [[signature]]
        id = "hello"
        transport = "tcp"
        source = "seen in my laboratory"
        [[signature.field]]
        at = 0
        len = 2
        kind = "constant"
        value = "c0de"
        "#,
    )];
    let catalog = Catalog::from_texts(&files).unwrap();
    assert_eq!(catalog.signatures().len(), 1);
    let mut l = Labeler::new(Arc::new(catalog), LabelerConfig::default());
    let bare = flow(0, "u", "203.0.113.9", 443);
    assert_eq!(
        said(&mut l, &FlowEvidence { server_name: Some("a12.mine.test"), ..bare }),
        ["mine/chat sni"]
    );
    assert_eq!(
        said(&mut l, &FlowEvidence { signature: Some("mine/hello"), ..bare }),
        ["mine/- signature"]
    );
}

#[test]
fn media_to_a_peer_leave_from_the_port_of_the_call() {
    let mut l = labeler();
    let udp = |second, server, port| FlowEvidence {
        client_port: 50_000,
        transport: Transport::Udp,
        protocol: "stun",
        ..flow(second, "u", server, port)
    };
    let peer = udp(5, "198.51.100.7", 40_000);
    assert!(said(&mut l, &peer).is_empty());
    let relay =
        FlowEvidence { signature: Some("whatsapp/stun-allocate"), ..udp(6, "203.0.113.5", 3478) };
    assert_eq!(said(&mut l, &relay), ["whatsapp/call signature"]);
    assert_eq!(said(&mut l, &peer), ["whatsapp/call call-socket"]);
    let other_port = FlowEvidence { client_port: 50_001, ..peer };
    assert!(said(&mut l, &other_port).is_empty());
    let other_user = FlowEvidence { client: Client::of("v"), ..peer };
    assert!(said(&mut l, &other_user).is_empty());
    let much_later = FlowEvidence { first: at(4000), last: at(4060), ..peer };
    assert!(said(&mut l, &much_later).is_empty());
    let not_media = FlowEvidence { protocol: "dns", ..peer };
    assert!(said(&mut l, &not_media).is_empty());
    let named = FlowEvidence { server_name: Some("www.example.com"), ..peer };
    assert!(said(&mut l, &named).is_empty());
    let realm = FlowEvidence {
        server_name: Some("viber.com"),
        name_source: Some("realm"),
        ..udp(8, "203.0.113.6", 443)
    };
    let got = said(&mut labeler(), &realm);
    assert!(got[0].starts_with("viber/") && got[0].ends_with(" stun-realm"), "{got:?}");
}
