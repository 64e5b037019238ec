//! What nDPI's protocol names mean in the catalogue's words.

/// What nDPI says of a flow, as far as apps go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// One of these apps.
    App(&'static [&'static str]),
    /// A lookup of a name of one of these apps: traffic with a resolver, which one may count
    /// for the app or not.
    Lookup(&'static [&'static str]),
    /// A transport, an operator or a hoster: nothing that speaks against an app.
    Silent,
    /// Something that is none of our apps.
    Another,
}

/// nDPI's name of an app, and the catalogue's ids that agree with it.
const APPS: &[(&str, &[&str])] = &[
    ("AppleFaceTime", &["imessage"]),
    ("FaceTime", &["imessage"]),
    ("AppleiMessage", &["imessage"]),
    ("DingTalk", &["dingtalk"]),
    ("Discord", &["discord"]),
    ("FacebookMessenger", &["messenger"]),
    ("FacebookVoip", &["messenger"]),
    ("GoogleCall", &["google-meet"]),
    ("GoogleChat", &["google-chat", "google-meet"]),
    ("GoogleMeet", &["google-meet"]),
    ("IMO", &["imo"]),
    ("Instagram", &["instagram"]),
    ("KakaoTalk", &["kakaotalk"]),
    ("KakaoTalk_Voice", &["kakaotalk"]),
    ("Line", &["line"]),
    ("LineCall", &["line"]),
    ("OICQ", &["qq"]),
    ("QQ", &["qq", "wechat"]), // nDPI calls every qq.com name QQ, WeChat's among them
    ("Signal", &["signal"]),
    ("SignalVoip", &["signal"]),
    ("Skype_Teams", &["skype", "teams", "skype-teams"]),
    ("Skype_TeamsCall", &["skype", "teams", "skype-teams"]),
    ("Slack", &["slack"]),
    ("Snapchat", &["snapchat"]),
    ("SnapchatCall", &["snapchat"]),
    ("Teams", &["teams", "skype-teams"]),
    ("TeamsCall", &["teams", "skype-teams"]),
    ("Telegram", &["telegram"]),
    ("TelegramVoip", &["telegram"]),
    ("Threema", &["threema"]),
    ("Viber", &["viber"]),
    ("ViberVoip", &["viber"]),
    ("WeChat", &["wechat"]),
    ("WhatsApp", &["whatsapp"]),
    ("WhatsAppCall", &["whatsapp"]),
    ("WhatsAppFiles", &["whatsapp"]),
    ("Zoom", &["zoom"]),
];

const LOOKUPS: &[&str] = &["DNS", "MDNS", "LLMNR", "DoH_DoT"];

/// Transports that carry any app.
const CARRIERS: &[&str] = &[
    "DTLS",
    "HTTP",
    "HTTP2",
    "HTTP_Connect",
    "HTTP_Proxy",
    "Jabber",
    "OCSP",
    "Protobuf",
    "QUIC",
    "RTCP",
    "RTP",
    "SOCKS",
    "SRTP",
    "STUN",
    "TLS",
    "Unknown",
    "WebSocket",
];

/// Operators of our apps, and hosters.
const OPERATORS: &[&str] = &[
    "AliCloud",
    "Alibaba",
    "Amazon",
    "AmazonAWS",
    "Apple",
    "AppleiCloud",
    "ApplePush",
    "Azure",
    "Cloudflare",
    "Facebook",
    "FbookReelStory",
    "Google",
    "GoogleCloud",
    "GoogleServices",
    "HuaweiCloud",
    "Microsoft",
    "Microsoft365",
    "SD-RTN",
];

/// Whether nDPI has a name for the app, so that it counts as messaging whatever its kind.
pub(super) fn is_named(app: &str) -> bool {
    APPS.iter().any(|(_, ids)| ids.contains(&app))
}

/// Reads a name such as `TLS.WhatsApp`: a carrier, then what is carried.
pub(super) fn claim(protocol: &str) -> Claim {
    let (carrier, inner) = protocol.split_once('.').unwrap_or((protocol, protocol));
    let lookup = LOOKUPS.contains(&carrier);
    if let Some((_, ids)) = APPS.iter().find(|(name, _)| *name == inner) {
        return if lookup { Claim::Lookup(ids) } else { Claim::App(ids) };
    }
    if lookup || CARRIERS.contains(&inner) || OPERATORS.contains(&inner) {
        return Claim::Silent;
    }
    Claim::Another
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let check = |protocol: &str, expected: Claim| assert_eq!(claim(protocol), expected);
        check("TLS.WhatsApp", Claim::App(&["whatsapp"]));
        check("WhatsApp", Claim::App(&["whatsapp"]));
        check("STUN.Skype_TeamsCall", Claim::App(&["skype", "teams", "skype-teams"]));
        check("DNS.WhatsApp", Claim::Lookup(&["whatsapp"]));
        check("DNS.Apple", Claim::Silent);
        check("TLS.Facebook", Claim::Silent);
        check("TLS", Claim::Silent);
        check("Unknown", Claim::Silent);
        check("HTTP.1kxun", Claim::Another);
        check("BitTorrent", Claim::Another);
    }
}
