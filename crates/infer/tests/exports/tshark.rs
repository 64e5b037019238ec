//! Wireshark's dissectors in tshark.

use std::process::Command;

use ottoscope_infer::export::{Format, Layout};

use crate::made::{capture, datagrams, exported, folder, message, wechat};

/// One line a frame with the fields asked for, several values joined by commas; `None` without
/// tshark.
fn decoded(
    name: &str,
    layout: &Layout,
    port: u16,
    payloads: &[(bool, &[u8])],
    fields: &[&str],
) -> Option<Vec<String>> {
    let folder = folder(name);
    let (script, pcap) = (exported(&folder, layout, Format::Wireshark), folder.join("flow.pcap"));
    capture(&pcap, layout.signature.transport, port, payloads);
    let mut command = Command::new("tshark");
    command.args(["-n", "-X"]).arg(format!("lua_script:{}", script.display()));
    command.arg("-r").arg(&pcap).args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let Ok(output) = command.output() else {
        println!("skipped: tshark is not installed");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !errors.contains("Lua"), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

const FIELDS: &[&str] = &[
    "_ws.col.Protocol",
    "wechat_w_tcp.length",
    "wechat_w_tcp.magic",
    "wechat_w_tcp.opcode",
    "wechat_w_tcp.command",
    "wechat_w_tcp.task",
    "wechat_w_tcp.kind",
    "wechat_w_tcp.sequence",
    "_ws.col.Info",
];

#[test]
fn messages_over_and_within_segments() {
    let picture = message(9, 7, 1000);
    let (first, second) = picture.split_at(600);
    let pair = [message(6, 8, 0), message(0x3b9a_ca09, 7, 4)].concat();
    let header_cut = message(6, 9, 0);
    let payloads = [
        (true, &pair[..]),
        (true, first),
        (true, second),
        (true, &header_cut[..5]),
        (true, &header_cut[5..]),
    ];
    // HTTP is asked first on port 8088, but by its number another dissector takes it over.
    for (ports, port, name) in [(vec![], 40_404, "by-guess"), (vec![8088], 8088, "by-port")] {
        let Some(lines) = decoded(name, &wechat(ports), port, &payloads, FIELDS) else { return };
        let lines: Vec<_> = lines.iter().map(|l| l.replace(&port.to_string(), "PORT")).collect();
        assert_eq!(
            lines,
            [
                "wechat/w-tcp\t16,20\t00100001,00100001\t6,51721\t6,9\theart\"beat\\,send \
                 picture\trequest,response\t8,7\trequest: heart\"beat\\, response: send picture",
                "TCP\t\t\t\t\t\t\t\t50000 \u{2192} PORT [PSH, ACK] Seq=37 Ack=1 Win=8192 Len=600 \
                 [TCP segment of a reassembled PDU]",
                "wechat/w-tcp\t1016\t00100001\t9\t9\tsend picture\trequest\t7\trequest: send \
                 picture",
                "TCP\t\t\t\t\t\t\t\t50000 \u{2192} PORT [PSH, ACK] Seq=1053 Ack=1 Win=8192 Len=5 \
                 [TCP segment of a reassembled PDU]",
                "wechat/w-tcp\t16\t00100001\t6\t6\theart\"beat\\\trequest\t9\trequest: \
                 heart\"beat\\",
            ],
            "{name}"
        );
    }
}

#[test]
fn other_traffic_is_left_alone() {
    let other = b"0123 something else that is long enough";
    let mut almost = message(9, 1, 4);
    almost[7] = 2;
    let short = &message(9, 1, 0)[..10];
    let payloads = [(true, &other[..]), (true, &almost[..]), (true, short)];
    for ports in [vec![], vec![40_404]] {
        let fields = ["_ws.col.Protocol", "wechat_w_tcp.length"];
        let Some(lines) = decoded("other", &wechat(ports), 40_404, &payloads, &fields) else {
            return;
        };
        assert_eq!(lines, ["TCP\t", "TCP\t", "TCP\t"]);
    }
}

#[test]
fn datagrams_with_little_endian_numbers() {
    let layout = datagrams();
    let good = [0x16, 0xaa, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let wrong_length = [0x16, 0xaa, 9, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let wrong_type = [0x17, 0xaa, 8, 0, 0, 9, 0, 0, 0, 0, 0, 0xbb, 0xcc];
    let large = [0x15, 0xaa, 6, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
    let fields = [
        "odd_app_d.length",
        "odd_app_d.opcode",
        "odd_app_d.task",
        "odd_app_d.gap",
        "odd_app_d.body",
        "odd_app_d.command",
    ];
    let payloads: Vec<_> =
        [&good[..], &wrong_length, &wrong_type, &large].map(|p| (true, p)).into();
    let Some(lines) = decoded("udp", &layout, 40_404, &payloads, &fields) else { return };
    assert_eq!(
        lines,
        [
            "8\t9\tsend picture\taa\tbbcc\t9",
            "\t\t\t\t\t",
            "\t\t\t\t\t",
            "6\t1099511627775\t\taa\t\t1099511627775",
        ]
    );
}
