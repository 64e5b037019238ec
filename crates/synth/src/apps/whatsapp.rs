//! WhatsApp-like traffic, after the 2014 measurement: one long chat connection that the device
//! closes when it has been idle, and one short TLS connection per photo, voice message or video.

use super::{MILLI, SECOND, tls, wait};
use crate::content::Content;
use crate::context::{Context, Owner};
use crate::rng::Rng;
use crate::tcp::{DOWN, Mark, Script, Step, UP};

/// What a user's client remembers between connections.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// A chat connection is open until then, as far as its plan says.
    busy: i64,
    /// Failed connections in a row.
    failures: u32,
}

/// How often an open connection is kept alive; far below every idle timeout, and not activity.
const PING: i64 = 150 * SECOND;

/// Opens a chat connection if none is open.
pub(crate) fn wake(
    cx: &mut Context<'_>,
    user: u32,
    state: &mut State,
    now: i64,
    rng: &mut Rng,
) -> i64 {
    let app = &cx.scenario.whatsapp;
    let down = outage_end(cx, now);
    if down.is_none() {
        state.failures = 0;
    }
    let rate = app.sessions_per_hour;
    // While its servers reset it, a client tries again and again, activity or not.
    if now < state.busy || (state.failures == 0 && !rng.chance(cx.activity(now))) {
        return now + wait(rate, rng);
    }
    let idle = cx.users[user as usize].stack.idle;
    let idle = i64::from(idle[rng.below(idle.len() as u64) as usize]) * SECOND;
    let mut gaps = Vec::new();
    if down.is_none() {
        let mean = app.messages_per_session;
        for _ in 0..(rng.exponential(mean) as usize).min(100_000) {
            // Half of the messages follow within seconds, the others when somebody looks again.
            let mean = if rng.chance(0.5) { 6.0 } else { 140.0 };
            gaps.push((rng.exponential(mean).min(idle as f64 / 1e9 * 0.95) * 1e9) as i64 + MILLI);
        }
    }
    let end = now + gaps.iter().sum::<i64>() + idle;
    let reset = match down {
        Some(_) => Some(now),
        None => outage_start(cx, now, end),
    };
    let (port_443, transfers) = (rng.chance(app.port_443), rng.exponential(app.media_per_session));
    let chat = cx.world.whatsapp_chat.clone();
    let host = chat.start + rng.below(chat.len() as u64) as usize;
    let target = cx.resolve(user, host, if port_443 { 443 } else { 5222 }, now, rng);
    let noise = rng.chance(0.6);
    let script = Chat {
        stage: 0,
        noise,
        gaps: gaps.clone().into_iter(),
        due: 0,
        ping: 0,
        idle,
        reset: reset.map(|at| at + rng.below(8 * SECOND as u64) as i64),
        answer: None,
    };
    let owner = Owner {
        app: "whatsapp",
        service: "chat",
        protocol: if noise { "whatsapp-noise" } else { "funxmpp" },
        host: Some(host),
        says_name: false,
    };
    cx.tcp(user, &target, &owner, target.at + MILLI, Box::new(script), rng);
    // Media come during the active part of the conversation; whole numbers with the right mean.
    let active = (end - idle - now).max(20 * SECOND);
    let count = transfers as u64 + u64::from(rng.chance(transfers.fract()));
    for _ in 0..if down.is_none() { count } else { 0 } {
        let at = now + rng.below(active as u64) as i64;
        if outage_end(cx, at).is_none() {
            media(cx, user, at, rng);
        }
    }
    if let Some(reset) = reset {
        state.failures += 1;
        state.busy = 0;
        let most = 5u64 << state.failures.min(4);
        return reset.max(now) + rng.range(2, most) as i64 * SECOND + 8 * SECOND;
    }
    state.busy = end;
    now + wait(rate, rng)
}

/// The end of the outage at `now`, if there is one.
fn outage_end(cx: &Context<'_>, now: i64) -> Option<i64> {
    let outages = cx.scenario.outage.iter();
    let mut spans = outages.map(|o| (cx.start + o.at.0, cx.start + o.at.0 + o.length.0));
    spans.find(|(from, to)| (*from..*to).contains(&now)).map(|(_, to)| to)
}

/// The first outage that begins within a connection.
fn outage_start(cx: &Context<'_>, from: i64, to: i64) -> Option<i64> {
    let starts = cx.scenario.outage.iter().map(|o| cx.start + o.at.0);
    starts.filter(|at| (from..to).contains(at)).min()
}

/// One transfer on a connection of its own.
fn media(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let app = &cx.scenario.whatsapp;
    let video = rng.chance(app.video_share);
    let (hosts, mean) = if video {
        (cx.world.whatsapp_video.clone(), app.video_bytes)
    } else {
        (cx.world.whatsapp_photo.clone(), app.photo_bytes)
    };
    let up = rng.chance(app.upload_share);
    let len = rng.log_normal(mean, 1.0).clamp(2_000.0, 2e7) as u64;
    let host = hosts.start + rng.below(hosts.len() as u64) as usize;
    let name = cx.world.hosts[host].name.clone();
    // Clients of that time did not all say the server's name.
    let says_name = rng.chance(0.8);
    let target = cx.resolve(user, host, 443, now, rng);
    let hello = tls::Hello {
        name: if says_name { &name } else { "" },
        alpn: &[],
        tls13: false,
        certificate: ("*.whatsapp.net", &["*.whatsapp.net", "whatsapp.net"]),
    };
    let mut steps = tls::open(&hello, rng);
    let (request, response) = if up { (len, 420) } else { (380, len) };
    steps.push_back(tls::data(UP, 5 * MILLI, request, rng));
    steps.push_back(tls::data(DOWN, rng.range(5, 80) as i64 * MILLI, response, rng));
    // Closed upon completion, at times after a keep-alive.
    let idle = if rng.chance(0.5) { MILLI } else { rng.range(10, 440) as i64 * SECOND };
    tls::close(&mut steps, UP, idle, rng);
    let owner = Owner {
        app: "whatsapp",
        service: if video { "video" } else { "photo-audio" },
        protocol: "tls",
        host: Some(host),
        says_name,
    };
    cx.tcp(user, &target, &owner, target.at + MILLI, Box::new(steps), rng);
}

/// The chat connection.
struct Chat {
    stage: u8,
    /// Noise handshake (since 2016), else FunXMPP.
    noise: bool,
    gaps: std::vec::IntoIter<i64>,
    /// When the next message is due; 0 when none is planned.
    due: i64,
    /// When the connection must be kept alive.
    ping: i64,
    idle: i64,
    reset: Option<i64>,
    /// The other end's acknowledgement of the last message.
    answer: Option<(usize, Mark)>,
}

/// A frame: three bytes of length (the first nibble holds flags in FunXMPP), then ciphertext.
fn frame(len: u64, rng: &mut Rng) -> Content {
    Content::opaque([(len >> 16) as u8, (len >> 8) as u8, len as u8], len, rng.next())
}

impl Chat {
    fn begin(&mut self, rng: &mut Rng) -> Option<Step> {
        let stage = self.stage;
        self.stage += 1;
        let send = |side, delay: i64, content, task| {
            Some(Step::Send { side, delay: delay * MILLI, content, mark: Some(Mark::task(task)) })
        };
        match (stage, self.noise) {
            (0, true) => {
                // Prologue "WA", version 6, dictionary 3; then the client hello.
                let len = 36;
                let head = [b'W', b'A', 6, 3, 0, 0, len as u8, 0x12, 0x22, 0x0a, 0x20];
                send(UP, 2, Content::opaque(head, len - 4, rng.next()), "hello")
            }
            (0, false) => {
                // "WA", version 1.5, then the stream start in the binary dictionary.
                let head = [b'W', b'A', 1, 5, 0, 0, 0x19, 0xf8, 5, 1, 0xa0, 0x8a, 0x84, 0xfc];
                send(UP, 2, Content::opaque(head, 18, rng.next()), "hello")
            }
            (1, _) => send(DOWN, 8, frame(rng.range(270, 420), rng), "hello"),
            (2, _) => send(UP, 12, frame(rng.range(180, 420), rng), "login"),
            (3, _) => send(DOWN, 15, frame(rng.range(120, 260), rng), "login"),
            (4, _) => send(UP, 30, frame(rng.range(60, 320), rng), "presence"),
            (5, _) => send(DOWN, 20, frame(rng.range(400, 1700), rng), "offline-messages"),
            _ => None,
        }
    }
}

impl Script for Chat {
    fn step(&mut self, ready: [i64; 2], rng: &mut Rng) -> Step {
        if let Some(at) = self.reset
            && ready[DOWN] >= at
            && self.stage > 0
        {
            return Step::Reset { side: DOWN, delay: 0 };
        }
        if let Some(step) = self.begin(rng) {
            return step;
        }
        if let Some((side, mark)) = self.answer.take() {
            let content = frame(rng.range(24, 60), rng);
            let delay = rng.range(1, 12) as i64 * MILLI;
            return Step::Send { side, delay, content, mark: Some(mark) };
        }
        if self.due == 0 {
            let wait = self.gaps.next();
            self.due = ready[UP] + wait.unwrap_or(self.idle);
            if wait.is_none() {
                self.idle = 0;
            }
            self.ping = ready[UP] + PING;
        }
        if let Some(at) = self.reset
            && at < self.due.min(self.ping)
        {
            return Step::Reset { side: DOWN, delay: at - ready[DOWN] };
        }
        if self.ping < self.due {
            let delay = self.ping - ready[UP];
            self.ping += PING;
            self.answer = Some((DOWN, Mark::task("ping")));
            let mark = Some(Mark::task("ping"));
            return Step::Send { side: UP, delay, content: frame(22, rng), mark };
        }
        let due = std::mem::take(&mut self.due);
        if self.idle == 0 {
            return Step::Close { side: UP, delay: due - ready[UP] };
        }
        let side = if rng.chance(0.5) { UP } else { DOWN };
        self.answer = Some((1 - side, Mark::task("receipt")));
        let content = frame(rng.log_normal(190.0, 0.6).clamp(60.0, 4000.0) as u64, rng);
        Step::Send { side, delay: due - ready[UP], content, mark: Some(Mark::task("message")) }
    }
}
