//! A scenario: what a person writes to say which traffic to make.
//!
//! Every field has a default, so that the shortest scenario is a name. Unknown fields are errors,
//! since a misspelt one would silently change nothing. `docs/guide/synth.md` explains each.

use serde::Deserialize;

use crate::SynthError;

/// A length of time in a scenario file: `"90s"`, `"10m"`, `"1h30m"`, `"40ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Duration(
    /// Nanoseconds.
    pub i64,
);

impl Duration {
    const fn seconds(n: i64) -> Self {
        Duration(n * 1_000_000_000)
    }
    const fn millis(n: i64) -> Self {
        Duration(n * 1_000_000)
    }
    /// Seconds.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl std::str::FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not a duration such as 90s, 10m, 1h30m or 40ms");
        let mut rest = text.trim();
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(error());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let scale: i64 = match unit.trim() {
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                _ => return Err(error()),
            };
            let number: i64 = number.parse().map_err(|_| error())?;
            total =
                number.checked_mul(scale).and_then(|n| total.checked_add(n)).ok_or_else(error)?;
            rest = tail;
        }
        // A year is far more than any capture, and keeps every sum of times in range.
        if total > 366 * 86_400_000_000_000 { Err(error()) } else { Ok(Duration(total)) }
    }
}

impl TryFrom<String> for Duration {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// A short name.
    pub name: String,
    /// One sentence for people.
    pub about: String,
    /// When the capture starts.
    pub start: toml::value::Datetime,
    /// How long it lasts.
    pub duration: Duration,
    /// How long users have been at it before the capture starts: flows of that time that are
    /// still alive appear without their beginning.
    pub warm_up: Duration,
    /// Users with one device each.
    pub users: u32,
    /// Seed where the caller gives none.
    pub seed: u64,
    /// The capture's form.
    pub capture: Capture,
    /// What the network does to packets.
    pub network: Network,
    /// Activity by hour of the day.
    pub profile: Profile,
    /// Shares of operating systems.
    pub devices: Devices,
    /// Name resolution.
    pub dns: Dns,
    /// Background web.
    pub web: Web,
    /// WhatsApp-like chat, media and calls.
    pub whatsapp: WhatsApp,
    /// WeChat-like long connections, short tasks, resources.
    pub wechat: WeChat,
    /// Voice calls over STUN and RTP.
    pub calls: Calls,
    /// Short flows at a constant rate.
    pub load: Load,
    /// Times when WhatsApp's chat servers reset every connection.
    pub outage: Vec<Outage>,
}

/// The capture's form.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capture {
    /// Bytes kept of every packet; 0 keeps all.
    pub snap_length: u32,
    /// What lies below the users' IP packets.
    pub encapsulation: Encapsulation,
    /// VLAN id, for `vlan`.
    pub vlan: u16,
    /// GTP-U QoS flow identifier, for `gtp-u`; none leaves the extension header out.
    pub qfi: Option<u8>,
    /// Share of users with IPv6 addresses, 0 to 1.
    pub ipv6: f64,
}

/// What lies below the users' IP packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encapsulation {
    /// Ethernet only.
    None,
    /// One 802.1Q tag.
    Vlan,
    /// A GTP-U tunnel a user and direction.
    GtpU,
}

/// What the network does to packets. Probabilities are 0 to 1.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Network {
    /// Mean round trip between the capture point and a user.
    pub client_rtt: Duration,
    /// Bottleneck of each user, Mbit/s down.
    pub down_mbps: f64,
    /// The same up.
    pub up_mbps: f64,
    /// Chance that a TCP data segment is lost, half of them before the capture point.
    pub loss: f64,
    /// Chance that a packet is captured late, after its successors.
    pub reorder: f64,
    /// Chance that a packet is captured twice.
    pub duplicate: f64,
}

/// Activity by hour of the day (UTC), relative to the largest.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Twenty-four weights; the capture's own hours pick theirs.
    pub hours: Vec<f64>,
}

/// Shares of operating systems among the devices, any scale.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[allow(missing_docs)] // the names are the documentation
pub struct Devices {
    pub android: f64,
    pub ios: f64,
    pub blackberry: f64,
    pub windows_phone: f64,
}

/// Name resolution.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dns {
    /// Round trip between the capture point and the resolver.
    pub resolver_rtt: Duration,
    /// Chance that a needed lookup is not in the capture (another resolver, an old answer).
    pub unseen: f64,
    /// Share of users that go on using an answer beyond its time to live.
    pub overrun: f64,
    /// Chance that an IPv4 user asks for AAAA too.
    pub aaaa: f64,
    /// Chance that a query is lost and asked again after a second.
    pub retry: f64,
}

/// Background web.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Web {
    /// Share of users.
    pub share: f64,
    /// Page visits an hour and user at the busiest hour.
    pub visits_per_hour: f64,
    /// Fictitious sites.
    pub sites: u32,
    /// Mean bytes of one response.
    pub response_bytes: f64,
    /// Relative weights of the protocols.
    pub tls13: f64,
    /// See `tls13`.
    pub tls12: f64,
    /// See `tls13`.
    pub quic: f64,
    /// See `tls13`.
    pub http: f64,
}

/// WhatsApp-like traffic; defaults follow the 2014 measurement's averages.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WhatsApp {
    /// Share of users.
    pub share: f64,
    /// Chat connections opened an hour and user at the busiest hour.
    pub sessions_per_hour: f64,
    /// Mean chat messages of a connection.
    pub messages_per_session: f64,
    /// Media transfers per chat connection (14 to 140 million flows).
    pub media_per_session: f64,
    /// Share of videos among media transfers (5 of 14 million flows).
    pub video_share: f64,
    /// Mean bytes of a photo or voice message.
    pub photo_bytes: f64,
    /// Mean bytes of a video.
    pub video_bytes: f64,
    /// Share of transfers that go up.
    pub upload_share: f64,
    /// Share of chat connections on port 443 instead of 5222.
    pub port_443: f64,
}

/// WeChat-like traffic; defaults follow the ChatDissect measurement.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WeChat {
    /// Share of users.
    pub share: f64,
    /// Mean life of a long connection.
    pub connection: Duration,
    /// Heartbeat period.
    pub heartbeat: Duration,
    /// User tasks an hour at the busiest hour.
    pub tasks_per_hour: f64,
    /// Share of tasks done by HTTP instead of the long connection.
    pub http_share: f64,
    /// Photos fetched per task.
    pub photos_per_task: f64,
    /// Share of users whose client speaks MMTLS.
    pub mmtls: f64,
}

/// Voice calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Calls {
    /// Share of users.
    pub share: f64,
    /// Calls an hour and user at the busiest hour.
    pub per_hour: f64,
    /// Mean length.
    pub length: Duration,
    /// Share of calls whose media moves from the relay to the peer.
    pub peer_share: f64,
    /// Chance that a media packet is lost before the capture point.
    pub loss: f64,
}

/// Short flows at a constant rate, to fill flow tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Load {
    /// Flows to make, spread evenly over the duration.
    pub flows: u64,
    /// Share of UDP flows.
    pub udp: f64,
    /// Share of TCP flows that never end.
    pub unfinished: f64,
    /// Mean payload bytes down.
    pub bytes: f64,
}

/// A time when WhatsApp's chat servers reset every connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Outage {
    /// From the capture's start.
    pub at: Duration,
    /// How long.
    pub length: Duration,
}

impl Default for Scenario {
    fn default() -> Self {
        Scenario {
            name: "unnamed".to_owned(),
            about: String::new(),
            start: toml::value::Datetime {
                date: Some(toml::value::Date { year: 2014, month: 2, day: 18 }),
                time: Some(toml::value::Time {
                    hour: 19,
                    minute: 0,
                    second: Some(0),
                    nanosecond: Some(0),
                }),
                offset: Some(toml::value::Offset::Z),
            },
            duration: Duration::seconds(180),
            warm_up: Duration::seconds(0),
            users: 100,
            seed: 1,
            capture: Capture::default(),
            network: Network::default(),
            profile: Profile::default(),
            devices: Devices::default(),
            dns: Dns::default(),
            web: Web::default(),
            whatsapp: WhatsApp::default(),
            wechat: WeChat::default(),
            calls: Calls::default(),
            load: Load::default(),
            outage: Vec::new(),
        }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Capture {
            snap_length: 0,
            encapsulation: Encapsulation::None,
            vlan: 100,
            qfi: None,
            ipv6: 0.0,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network {
            client_rtt: Duration::millis(45),
            down_mbps: 12.0,
            up_mbps: 4.0,
            loss: 0.0,
            reorder: 0.0,
            duplicate: 0.0,
        }
    }
}

impl Default for Profile {
    /// A European cellular network's evening peak.
    fn default() -> Self {
        Profile {
            hours: vec![
                0.42, 0.28, 0.20, 0.16, 0.15, 0.20, 0.34, 0.52, 0.64, 0.70, 0.74, 0.78, 0.84, 0.82,
                0.80, 0.82, 0.86, 0.92, 0.97, 1.00, 1.00, 0.95, 0.80, 0.60,
            ],
        }
    }
}

impl Default for Devices {
    fn default() -> Self {
        Devices { android: 0.58, ios: 0.28, blackberry: 0.06, windows_phone: 0.08 }
    }
}

impl Default for Dns {
    fn default() -> Self {
        Dns {
            resolver_rtt: Duration::millis(6),
            unseen: 0.05,
            overrun: 0.1,
            aaaa: 0.4,
            retry: 0.01,
        }
    }
}

impl Default for Web {
    fn default() -> Self {
        Web {
            share: 0.0,
            visits_per_hour: 10.0,
            sites: 300,
            response_bytes: 24_000.0,
            tls13: 0.5,
            tls12: 0.2,
            quic: 0.2,
            http: 0.1,
        }
    }
}

impl Default for WhatsApp {
    fn default() -> Self {
        WhatsApp {
            share: 0.0,
            sessions_per_hour: 2.5,
            messages_per_session: 6.5,
            media_per_session: 0.1,
            video_share: 0.36,
            photo_bytes: 150_000.0,
            video_bytes: 305_000.0,
            upload_share: 0.3,
            port_443: 0.4,
        }
    }
}

impl Default for WeChat {
    fn default() -> Self {
        WeChat {
            share: 0.0,
            connection: Duration::seconds(3600),
            heartbeat: Duration::seconds(300),
            tasks_per_hour: 12.0,
            http_share: 0.35,
            photos_per_task: 0.3,
            mmtls: 0.0,
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Calls {
            share: 0.0,
            per_hour: 0.5,
            length: Duration::seconds(120),
            peer_share: 0.5,
            loss: 0.0,
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        Load { flows: 0, udp: 0.3, unfinished: 0.0, bytes: 400.0 }
    }
}

/// The shipped scenarios, by name.
pub const BUILTIN: &[(&str, &str)] = &[
    ("cell-minute", include_str!("../../../scenarios/cell-minute.toml")),
    ("cell-day", include_str!("../../../scenarios/cell-day.toml")),
    ("whatsapp-chat", include_str!("../../../scenarios/whatsapp-chat.toml")),
    ("wechat", include_str!("../../../scenarios/wechat.toml")),
    ("call", include_str!("../../../scenarios/call.toml")),
    ("many-flows", include_str!("../../../scenarios/many-flows.toml")),
];

impl Scenario {
    /// Reads and checks a scenario file's text.
    ///
    /// # Errors
    /// When the text is not TOML, names an unknown field, or holds a value out of range; the
    /// message names the field, and the line where TOML knows it.
    pub fn from_toml(text: &str) -> Result<Self, SynthError> {
        let scenario: Scenario =
            toml::from_str(text).map_err(|e| SynthError::Scenario(e.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// A shipped scenario.
    ///
    /// # Errors
    /// When none has that name; the message lists those that exist.
    pub fn builtin(name: &str) -> Result<Self, SynthError> {
        match BUILTIN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Scenario::from_toml(text),
            None => {
                let known: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
                Err(SynthError::Scenario(format!(
                    "no shipped scenario is called `{name}`; there are {}",
                    known.join(", ")
                )))
            }
        }
    }

    /// Checks every value's range. [`crate::generate`] does it again, for scenarios built in code.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<(), SynthError> {
        let error = |what: String| Err(SynthError::Scenario(what));
        let shares = [
            ("capture.ipv6", self.capture.ipv6),
            ("network.loss", self.network.loss),
            ("network.reorder", self.network.reorder),
            ("network.duplicate", self.network.duplicate),
            ("dns.unseen", self.dns.unseen),
            ("dns.overrun", self.dns.overrun),
            ("dns.aaaa", self.dns.aaaa),
            ("dns.retry", self.dns.retry),
            ("web.share", self.web.share),
            ("whatsapp.share", self.whatsapp.share),
            ("whatsapp.video-share", self.whatsapp.video_share),
            ("whatsapp.upload-share", self.whatsapp.upload_share),
            ("whatsapp.port-443", self.whatsapp.port_443),
            ("wechat.share", self.wechat.share),
            ("wechat.http-share", self.wechat.http_share),
            ("wechat.mmtls", self.wechat.mmtls),
            ("calls.share", self.calls.share),
            ("calls.peer-share", self.calls.peer_share),
            ("calls.loss", self.calls.loss),
            ("load.udp", self.load.udp),
            ("load.unfinished", self.load.unfinished),
        ];
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return error(format!("`{name}` is {value}; it must lie between 0 and 1"));
            }
        }
        let amounts = [
            ("web.visits-per-hour", self.web.visits_per_hour, 1e5),
            ("web.response-bytes", self.web.response_bytes, 1e8),
            ("web.tls13", self.web.tls13, 1e6),
            ("web.tls12", self.web.tls12, 1e6),
            ("web.quic", self.web.quic, 1e6),
            ("web.http", self.web.http, 1e6),
            ("whatsapp.sessions-per-hour", self.whatsapp.sessions_per_hour, 1e5),
            ("whatsapp.messages-per-session", self.whatsapp.messages_per_session, 1e5),
            ("whatsapp.media-per-session", self.whatsapp.media_per_session, 1e3),
            ("whatsapp.photo-bytes", self.whatsapp.photo_bytes, 1e8),
            ("whatsapp.video-bytes", self.whatsapp.video_bytes, 1e8),
            ("wechat.tasks-per-hour", self.wechat.tasks_per_hour, 1e5),
            ("wechat.photos-per-task", self.wechat.photos_per_task, 1e3),
            ("calls.per-hour", self.calls.per_hour, 1e5),
            ("load.bytes", self.load.bytes, 1e8),
            ("devices.android", self.devices.android, 1e6),
            ("devices.ios", self.devices.ios, 1e6),
            ("devices.blackberry", self.devices.blackberry, 1e6),
            ("devices.windows-phone", self.devices.windows_phone, 1e6),
        ];
        for (name, value, most) in amounts {
            if !(0.0..=most).contains(&value) {
                return error(format!("`{name}` is {value}; it must lie between 0 and {most}"));
            }
        }
        let positive = [
            ("network.down-mbps", self.network.down_mbps),
            ("network.up-mbps", self.network.up_mbps),
        ];
        for (name, value) in positive {
            if !(0.01..=1e5).contains(&value) {
                return error(format!("`{name}` is {value}; it must lie between 0.01 and 100000"));
            }
        }
        if self.profile.hours.len() != 24
            || self.profile.hours.iter().any(|h| !(0.0..=1e6).contains(h))
            || self.profile.hours.iter().sum::<f64>() <= 0.0
        {
            return error("`profile.hours` needs 24 weights, not all zero".to_owned());
        }
        if self.users == 0 || self.users > 10_000_000 {
            return error(format!("`users` is {}; it must lie between 1 and 10000000", self.users));
        }
        if self.web.sites == 0 || self.web.sites > 20_000 {
            return error(format!(
                "`web.sites` is {}; from 1 to 20000 are possible",
                self.web.sites
            ));
        }
        if self.capture.vlan > 4095 {
            return error(format!("`capture.vlan` is {}; ids end at 4095", self.capture.vlan));
        }
        if self.capture.qfi.is_some_and(|qfi| qfi > 63) {
            return error("`capture.qfi` has six bits and ends at 63".to_owned());
        }
        if self.duration.0 == 0 {
            return error("`duration` is zero".to_owned());
        }
        if !(Duration::seconds(1)..=Duration::seconds(1500)).contains(&self.wechat.heartbeat) {
            return error("`wechat.heartbeat` must lie between 1s and 25m".to_owned());
        }
        if self.wechat.connection < Duration::seconds(1) || self.calls.length.0 == 0 {
            return error(
                "`wechat.connection` and `calls.length` need a second or more".to_owned(),
            );
        }
        if !(Duration::millis(1)..=Duration::seconds(10)).contains(&self.network.client_rtt)
            || self.dns.resolver_rtt > Duration::seconds(10)
        {
            return error("`network.client-rtt` and `dns.resolver-rtt` end at 10 s".to_owned());
        }
        self.start_nanos().map(drop)
    }

    /// The start in nanoseconds since 1970 UTC; a date without offset is taken as UTC.
    pub(crate) fn start_nanos(&self) -> Result<i64, SynthError> {
        let error = || {
            SynthError::Scenario(
                "`start` needs a date and time such as 2014-02-18T19:00:00Z".into(),
            )
        };
        let date = self.start.date.ok_or_else(error)?;
        let time = self.start.time.ok_or_else(error)?;
        if !(1970..=2200).contains(&date.year) {
            return Err(error());
        }
        // Days since 1970 from a civil date, years beginning in March.
        let (y, m) = match date.month {
            3.. => (i64::from(date.year), i64::from(date.month) - 3),
            _ => (i64::from(date.year) - 1, i64::from(date.month) + 9),
        };
        let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + i64::from(date.day)
            - 1
            - 719_468;
        let offset = match self.start.offset {
            Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes) * 60,
            _ => 0,
        };
        let clock = i64::from(time.hour) * 3600
            + i64::from(time.minute) * 60
            + i64::from(time.second.unwrap_or(0));
        let nanos = i64::from(time.nanosecond.unwrap_or(0));
        Ok((days * 86_400 + clock - offset) * 1_000_000_000 + nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(text.parse().ok().map(|Duration(n)| n), expected, "{text}");
        };
        check("90s", Some(90_000_000_000));
        check("1h30m", Some(5_400_000_000_000));
        check("40ms", Some(40_000_000));
        check("1d", Some(86_400_000_000_000));
        check("0s", Some(0));
        check("", None);
        check("10", None);
        check("m", None);
        check("5 parsecs", None);
        check("99999999999d", None);
        check("367d", None);
    }

    #[test]
    fn starts_are_dates() {
        let check = |text: &str, expected: i64| {
            let scenario = Scenario::from_toml(&format!("start = {text}")).unwrap();
            assert_eq!(scenario.start_nanos().unwrap(), expected * 1_000_000_000, "{text}");
        };
        check("1970-01-01T00:00:00Z", 0);
        check("2014-02-18T19:00:00Z", 1392750000);
        check("2000-02-29T12:00:00Z", 951825600);
        check("2013-11-04T20:00:00+08:00", 1383566400);
    }

    #[test]
    fn errors_name_the_field() {
        let check = |text: &str, part: &str| {
            let error = Scenario::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("user = 5", "unknown field `user`");
        check("[whatsapp]\nshare = 1.5", "`whatsapp.share`");
        check("[network]\nloss = -0.1", "`network.loss`");
        check("duration = \"soon\"", "`soon` is not a duration");
        check("duration = \"0s\"", "`duration` is zero");
        check("users = 0", "`users`");
        check("start = 2014-02-18", "`start`");
        check("[profile]\nhours = [1.0]", "24 weights");
        check("[capture]\nencapsulation = \"ipsec\"", "unknown variant `ipsec`");
        check("[wechat]\nheartbeat = \"0s\"", "`wechat.heartbeat`");
        check("[network]\ndown-mbps = 0", "down-mbps");
        check("users = \"many\"", "line 1");
    }

    #[test]
    fn every_shipped_scenario_is_valid_and_named_after_its_file() {
        for (name, _) in BUILTIN {
            assert_eq!(Scenario::builtin(name).unwrap().name, *name);
        }
        assert!(Scenario::builtin("none").unwrap_err().to_string().contains("cell-minute"));
    }
}
