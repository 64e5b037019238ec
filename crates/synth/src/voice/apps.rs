//! The apps of the OTT voice paper's tables 1 to 3, as they might look on the wire.
//!
//! Nothing here was measured of the real apps: shapes are those of their kinds (WebRTC, SIP,
//! headers of their own, TLS, QUIC, plain HTTP), sizes and gaps are made up. Several apps share a
//! shape, as relatives do, and none is told by one constant byte alone.

/// How an app sets a call up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setup {
    /// STUN bindings with a user name of so many bytes (RFC 8445, 7.2.2).
    Ice(u8),
    /// A TURN allocation; media are relayed in channel data where true (RFC 8656).
    Turn(bool),
    /// Probes in a header of its own, with so many bytes behind it each way.
    Own([u16; 2]),
    /// SIP in clear (RFC 3261).
    Sip,
}

/// What is in front of media.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wire {
    /// RTP with one of these payload types, with a header extension where so many bytes.
    Rtp { types: &'static [u8], extension: u8 },
    /// Marks, a session's number, a sequence number that rises.
    Own { marks: &'static [u8], session: u8 },
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) setup: Setup,
    pub(super) wire: Wire,
    /// Milliseconds between two packets.
    pub(super) period: f64,
    /// Mean bytes of a voice packet behind its header, and how they spread (log-normal).
    pub(super) bytes: (f64, f64),
    /// Bytes in silence, and the share of time that somebody is silent.
    pub(super) silence: (f64, f64),
    /// Mean bytes of a video packet, 0 where there is none.
    pub(super) video: f64,
}

/// Requests and responses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Web {
    /// Hosts, often used first.
    pub(super) hosts: &'static [&'static str],
    /// Shares of QUIC and of plain HTTP; the rest is TLS.
    pub(super) quic: f64,
    pub(super) plain: f64,
    /// Share of TLS 1.3 among TLS.
    pub(super) tls13: f64,
    /// Bytes that TLS 1.3's server hides in its first flight: certificates, mostly.
    pub(super) chain: u64,
    /// Mean bytes of a request and of its response.
    pub(super) sizes: (f64, f64),
    /// Mean milliseconds between two.
    pub(super) pause: f64,
}

/// An app: its calls and its other connections.
#[derive(Debug)]
pub(super) struct App {
    pub(super) name: &'static str,
    pub(super) call: Option<Call>,
    pub(super) web: Web,
    /// Share of sessions that are calls.
    pub(super) calls: f64,
}

const OPUS: &[u8] = &[96, 109, 111];

const fn rtp(types: &'static [u8], extension: u8) -> Wire {
    Wire::Rtp { types, extension }
}

const fn own(marks: &'static [u8], session: u8) -> Wire {
    Wire::Own { marks, session }
}

const fn voice(
    setup: Setup,
    wire: Wire,
    period: f64,
    bytes: (f64, f64),
    silence: (f64, f64),
) -> Call {
    Call { setup, wire, period, bytes, silence, video: 0.0 }
}

const fn video(call: Call, video: f64) -> Call {
    Call { video, ..call }
}

const fn web(
    hosts: &'static [&'static str],
    [quic, plain, tls13]: [f64; 3],
    chain: u64,
    sizes: (f64, f64),
    pause: f64,
) -> Web {
    Web { hosts, quic, plain, tls13, chain, sizes, pause }
}

/// An app with calls, which are this share of its sessions.
const fn caller(name: &'static str, calls: f64, call: Call, web: Web) -> App {
    App { name, call: Some(call), web, calls }
}

/// An app without.
const fn app(name: &'static str, web: Web) -> App {
    App { name, call: None, web, calls: 0.0 }
}

const TENCENT: f64 = 0.45;

/// Every app. Those of one house share hosts, libraries and headers.
pub(super) static APPS: &[App] = &[
    caller(
        "Facebook",
        0.6,
        voice(Setup::Ice(9), rtp(&[96, 97, 103], 8), 20.0, (88.0, 0.25), (14.0, 0.35)),
        web(
            &["edge-mqtt.facebook.example", "graph.facebook.example", "star.c10r.facebook.example"],
            [0.45, 0.0, 0.9],
            2900,
            (420.0, 2600.0),
            240.0,
        ),
    ),
    caller(
        "Hangouts",
        0.6,
        voice(Setup::Ice(33), rtp(OPUS, 12), 20.0, (72.0, 0.3), (10.0, 0.4)),
        web(
            &["hangouts.google.example", "clients4.google.example", "talk.google.example"],
            [0.7, 0.0, 0.85],
            3900,
            (520.0, 1900.0),
            200.0,
        ),
    ),
    caller(
        "Voipbuster",
        0.7,
        voice(Setup::Sip, rtp(&[0, 8, 18], 0), 20.0, (60.0, 0.05), (22.0, 0.2)),
        web(
            &["www.voipbuster.example", "sip.voipbuster.example"],
            [0.0, 0.3, 0.2],
            2300,
            (300.0, 900.0),
            400.0,
        ),
    ),
    caller(
        "ICQ",
        0.55,
        voice(Setup::Ice(17), rtp(&[100, 111], 8), 20.0, (68.0, 0.3), (11.0, 0.35)),
        web(
            &["u.icq.example", "api.icq.example", "files.icq.example"],
            [0.0, 0.0, 0.7],
            3300,
            (360.0, 1500.0),
            300.0,
        ),
    ),
    caller(
        "KakaoTalk",
        0.55,
        voice(Setup::Own([40, 40]), rtp(&[102, 118], 0), 60.0, (150.0, 0.2), (28.0, 0.3)),
        web(
            &["talk-pilsner.kakao.example", "katalk.kakao.example", "item.kakaocdn.example"],
            [0.0, 0.0, 0.5],
            4300,
            (260.0, 1200.0),
            260.0,
        ),
    ),
    caller(
        "Line",
        0.55,
        voice(Setup::Own([76, 60]), rtp(&[98, 120], 4), 40.0, (118.0, 0.22), (20.0, 0.4)),
        web(
            &["gd2.line.example", "obs.line-scdn.example", "legy.line-apps.example"],
            [0.1, 0.0, 0.8],
            3600,
            (310.0, 1100.0),
            220.0,
        ),
    ),
    caller(
        "QQ",
        0.5,
        voice(Setup::Own([55, 71]), own(&[0x02, 0x13], 4), 20.0, (54.0, 0.35), (12.0, 0.3)),
        web(
            &["msfwifi.3g.qq.example", "cgi.connect.qq.example", "dldir1.qq.example"],
            [0.0, 0.25, TENCENT],
            2800,
            (240.0, 1600.0),
            280.0,
        ),
    ),
    caller(
        "Skype",
        0.6,
        voice(Setup::Turn(true), rtp(&[104, 114], 12), 20.0, (96.0, 0.4), (18.0, 0.45)),
        web(
            &["api.skype.example", "config.edge.skype.example", "trouter.skype.example"],
            [0.05, 0.0, 0.6],
            4700,
            (640.0, 2100.0),
            210.0,
        ),
    ),
    caller(
        "Telegram",
        0.55,
        voice(Setup::Own([32, 64]), own(&[], 16), 60.0, (172.0, 0.12), (172.0, 0.0)),
        web(
            &["venus.web.telegram.example", "pluto.web.telegram.example"],
            [0.0, 0.1, 0.6],
            2500,
            (180.0, 800.0),
            320.0,
        ),
    ),
    caller(
        "ToTok",
        0.55,
        voice(Setup::Turn(false), rtp(&[120, 121], 4), 30.0, (82.0, 0.25), (16.0, 0.3)),
        web(
            &["im.totok.example", "voip.totok.example", "log.totok.example"],
            [0.0, 0.15, 0.4],
            3000,
            (300.0, 700.0),
            180.0,
        ),
    ),
    caller(
        "Viber",
        0.55,
        voice(Setup::Own([20, 34]), own(&[0x11, 0x03], 8), 20.0, (64.0, 0.25), (9.0, 0.5)),
        web(
            &["aloha.viber.example", "media.viber.example", "share.viber.example"],
            [0.0, 0.0, 0.7],
            4100,
            (280.0, 1000.0),
            250.0,
        ),
    ),
    caller(
        "WeChat",
        0.5,
        voice(Setup::Own([29, 41]), own(&[0xd5], 4), 60.0, (90.0, 0.3), (30.0, 0.3)),
        web(
            &["long.weixin.qq.example", "short.weixin.qq.example", "dldir1.qq.example"],
            [0.0, 0.4, TENCENT],
            2800,
            (260.0, 1300.0),
            300.0,
        ),
    ),
    caller(
        "WhatsApp",
        0.6,
        voice(Setup::Turn(false), rtp(&[120], 8), 20.0, (58.0, 0.25), (10.0, 0.3)),
        web(
            &["g.whatsapp.example", "mmg.whatsapp.example", "edge-mqtt.facebook.example"],
            [0.1, 0.0, 0.85],
            2900,
            (350.0, 1400.0),
            260.0,
        ),
    ),
    caller(
        "Dingding",
        0.4,
        voice(Setup::Ice(12), rtp(&[97, 127], 4), 20.0, (76.0, 0.3), (14.0, 0.4)),
        web(
            &["im.dingtalk.example", "lippi.dingtalk.example", "gm.mmstat.example"],
            [0.1, 0.05, 0.7],
            3800,
            (420.0, 1700.0),
            200.0,
        ),
    ),
    caller(
        "Soul",
        0.4,
        voice(Setup::Own([48, 36]), own(&[0x04, 0x20], 4), 40.0, (104.0, 0.2), (24.0, 0.35)),
        web(
            &["api.soulapp.example", "im.soulapp.example", "img.soulapp.example"],
            [0.0, 0.1, 0.75],
            3400,
            (380.0, 2600.0),
            180.0,
        ),
    ),
    caller(
        "Tencent_Meeting",
        0.45,
        video(
            voice(Setup::Own([60, 60]), own(&[0x02, 0x36], 4), 20.0, (66.0, 0.3), (14.0, 0.5)),
            820.0,
        ),
        web(
            &["wemeet.qq.example", "cgi.connect.qq.example", "xmpp.wemeet.qq.example"],
            [0.0, 0.1, 0.8],
            2800,
            (460.0, 1400.0),
            220.0,
        ),
    ),
    caller(
        "Zoom",
        0.5,
        video(
            voice(Setup::Own([105, 95]), own(&[0x05, 0x10], 4), 20.0, (92.0, 0.3), (40.0, 0.4)),
            960.0,
        ),
        web(
            &["zoomwas.zoom.example", "us04web.zoom.example", "log.zoom.example"],
            [0.05, 0.0, 0.9],
            4500,
            (540.0, 1800.0),
            210.0,
        ),
    ),
    app(
        "Bilibili",
        web(
            &["upos-sz.bilivideo.example", "api.bilibili.example", "i0.hdslb.example"],
            [0.2, 0.2, 0.7],
            3500,
            (620.0, 34_000.0),
            260.0,
        ),
    ),
    app(
        "Douyin",
        web(
            &["v26.douyinvod.example", "aweme.snssdk.example", "p3.douyinpic.example"],
            [0.35, 0.05, 0.8],
            3700,
            (820.0, 22_000.0),
            140.0,
        ),
    ),
    app(
        "Douyu",
        web(
            &["hdls.douyucdn.example", "danmu.douyu.example", "apic.douyucdn.example"],
            [0.0, 0.5, 0.5],
            3200,
            (310.0, 26_000.0),
            90.0,
        ),
    ),
    app(
        "Huya",
        web(
            &["tx.flv.huya.example", "cdnws.api.huya.example", "huyaimg.msstatic.example"],
            [0.0, 0.45, 0.5],
            3400,
            (350.0, 24_000.0),
            100.0,
        ),
    ),
    app(
        "iQiYi_Video",
        web(
            &["data.video.iqiyi.example", "cache.video.iqiyi.example", "msg.qy.example"],
            [0.0, 0.5, 0.3],
            2900,
            (540.0, 30_000.0),
            300.0,
        ),
    ),
    app(
        "JD",
        web(
            &["api.m.jd.example", "img10.360buyimg.example", "mercury.jd.example"],
            [0.0, 0.05, 0.6],
            4000,
            (1100.0, 9000.0),
            120.0,
        ),
    ),
    app(
        "Kuaishou",
        web(
            &["txmov2.kwaicdn.example", "api3.gifshow.example", "ali2.a.kwimgs.example"],
            [0.25, 0.1, 0.75],
            3600,
            (760.0, 20_000.0),
            150.0,
        ),
    ),
    app(
        "Sohu_News",
        web(
            &["api.k.sohu.example", "pic.k.sohu.example", "zcache.k.sohu.example"],
            [0.0, 0.35, 0.4],
            3100,
            (480.0, 6000.0),
            160.0,
        ),
    ),
    app(
        "Taobao",
        web(
            &["acs.m.taobao.example", "gw.alicdn.example", "gm.mmstat.example"],
            [0.1, 0.05, 0.7],
            3800,
            (1250.0, 8000.0),
            110.0,
        ),
    ),
    app(
        "Tencent_Video",
        web(
            &["ltsbsy.qq.example", "vd.l.qq.example", "dldir1.qq.example"],
            [0.0, 0.45, TENCENT],
            2800,
            (460.0, 32_000.0),
            280.0,
        ),
    ),
    app(
        "Youku",
        web(
            &["valipl.cp31.youku.example", "ups.youku.example", "gm.mmstat.example"],
            [0.1, 0.4, 0.6],
            3800,
            (700.0, 28_000.0),
            290.0,
        ),
    ),
    app(
        "YouTube",
        web(
            &["rr3---sn.googlevideo.example", "i.ytimg.example", "youtubei.google.example"],
            [0.85, 0.0, 0.9],
            3900,
            (900.0, 36_000.0),
            240.0,
        ),
    ),
];

/// What phones do beside the app that is used: the same in every class.
pub(super) const BACKGROUND: Web = web(
    &["mtalk.google.example", "push.apple.example", "time.android.example", "dns.google.example"],
    [0.2, 0.1, 0.7],
    3700,
    (300.0, 900.0),
    350.0,
);

/// A set of classes: the paper's table, and its classes as name, app, whether a VPN hides it, and
/// sessions.
pub(super) type Set = &'static [(&'static str, &'static str, bool, u32)];

/// Table 1, scenario A.
pub(super) const A: Set = &[
    ("Facebook", "Facebook", false, 5833),
    ("Hangouts", "Hangouts", false, 5202),
    ("Skype", "Skype", false, 3281),
    ("Voipbuster", "Voipbuster", false, 846),
    ("Facebook_VPN", "Facebook", true, 139),
    ("Hangouts_VPN", "Hangouts", true, 278),
    ("Skype_VPN", "Skype", true, 515),
    ("Voipbuster_VPN", "Voipbuster", true, 50),
];

/// Table 2, scenario B.
pub(super) const B: Set = &[
    ("ICQ", "ICQ", true, 6274),
    ("KakaoTalk", "KakaoTalk", true, 6802),
    ("Line", "Line", true, 7089),
    ("QQ", "QQ", true, 7167),
    ("Skype", "Skype", true, 6828),
    ("Telegram", "Telegram", true, 6879),
    ("ToTok", "ToTok", true, 6678),
    ("Viber", "Viber", true, 6506),
    ("WeChat", "WeChat", true, 6971),
    ("WhatsApp", "WhatsApp", true, 6517),
];

/// Table 3, scenario C.
pub(super) const C: Set = &[
    ("Bilibili", "Bilibili", false, 327),
    ("Dingding", "Dingding", false, 1159),
    ("Douyin", "Douyin", false, 154),
    ("Douyu", "Douyu", false, 3000),
    ("Huya", "Huya", false, 3000),
    ("ICQ_VPN", "ICQ", true, 3000),
    ("iQiYi_Video", "iQiYi_Video", false, 944),
    ("JD", "JD", false, 3000),
    ("KakaoTalk_VPN", "KakaoTalk", true, 3000),
    ("Kuaishou", "Kuaishou", false, 1553),
    ("Line_VPN", "Line", true, 3000),
    ("QQ_Voice", "QQ", false, 828),
    ("QQ_VPN", "QQ", true, 3000),
    ("Skype_VPN", "Skype", true, 3000),
    ("Sohu_News", "Sohu_News", false, 932),
    ("Soul", "Soul", false, 1723),
    ("Taobao", "Taobao", false, 331),
    ("Telegram_VPN", "Telegram", true, 3000),
    ("Tencent_Meeting", "Tencent_Meeting", false, 1272),
    ("Tencent_Video", "Tencent_Video", false, 616),
    ("ToTok_VPN", "ToTok", true, 3000),
    ("Viber_VPN", "Viber", true, 3000),
    ("WeChat_Video", "WeChat", false, 584),
    ("WeChat_VPN", "WeChat", true, 3000),
    ("WhatsApp_VPN", "WhatsApp", true, 3000),
    ("Youku", "Youku", false, 624),
    ("YouTube", "YouTube", false, 1385),
    ("Zoom", "Zoom", false, 1052),
];
