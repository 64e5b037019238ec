//! WeChat-like traffic, after the ChatDissect measurement: a long connection with sixteen-byte
//! headers, heartbeats and tasks; short HTTP tasks; resources fetched by GET. A share of users
//! speaks MMTLS instead.

use std::collections::VecDeque;

use ottoscope_wire::wechat::mmtls::{self, Hello, Record, content, handshake_type};
use ottoscope_wire::wechat::{HEADER, Header, RESPONSE, sequence};

use super::{MILLI, SECOND, wait, web};
use crate::content::Content;
use crate::context::{Context, Owner};
use crate::rng::{Rng, fill};
use crate::tcp::{DOWN, Mark, Script, Step, UP};

/// A task of the long connection (ChatDissect, Table V gives the sizes where it has the task).
struct Task {
    name: &'static str,
    opcode: u32,
    /// Path below `/cgi-bin/micromsg-bin/` when done by HTTP.
    path: &'static str,
    /// Mean bytes of request and response on the long connection, headers included.
    long: (f64, f64),
    /// The same by HTTP; some are done on the long connection only.
    http: Option<(f64, f64)>,
    weight: f64,
}

const HEARTBEAT: u32 = 6;
const IDENTIFY: u32 = 205;
const PUSH: u32 = 24;
const SYNC: u32 = 121;

#[rustfmt::skip]
const TASKS: &[Task] = &[
    Task { name: "send text", opcode: 237, path: "newsendmsg", long: (340.0, 221.0), http: None, weight: 10.0 },
    Task { name: "query servers", opcode: SYNC, path: "newsync", long: (196.0, 358.0), http: Some((408.0, 580.0)), weight: 16.0 },
    Task { name: "send picture", opcode: 9, path: "uploadmsgimg", long: (4935.0, 209.0), http: Some((5216.0, 401.0)), weight: 2.0 },
    Task { name: "receive picture", opcode: 10, path: "getmsgimg", long: (256.0, 38_645.0), http: Some((454.0, 41_693.0)), weight: 3.0 },
    Task { name: "send voice", opcode: 19, path: "uploadvoice", long: (2191.0, 183.0), http: Some((2823.0, 372.0)), weight: 4.0 },
    Task { name: "receive voice", opcode: 20, path: "downloadvoice", long: (276.0, 27_143.0), http: Some((511.0, 37_248.0)), weight: 4.0 },
    Task { name: "send video", opcode: 39, path: "uploadvideo", long: (16_405.0, 196.0), http: Some((17_465.0, 384.0)), weight: 0.3 },
    Task { name: "receive video", opcode: 40, path: "downloadvideo", long: (231.0, 53_189.0), http: Some((430.0, 58_733.0)), weight: 0.4 },
    Task { name: "send emoji", opcode: 68, path: "sendemoji", long: (406.0, 183.0), http: Some((627.0, 370.0)), weight: 1.0 },
    Task { name: "refresh moments", opcode: 98, path: "mmsnstimeline", long: (360.0, 4200.0), http: Some((620.0, 4900.0)), weight: 4.0 },
    Task { name: "view a user", opcode: 99, path: "mmsnsuserpage", long: (300.0, 2600.0), http: Some((560.0, 3100.0)), weight: 1.0 },
];

/// Opens the long connection; returns when the next one is due.
pub(crate) fn connect(
    cx: &mut Context<'_>,
    user: u32,
    mmtls: bool,
    now: i64,
    rng: &mut Rng,
) -> i64 {
    let app = &cx.scenario.wechat;
    let life = (rng.exponential(app.connection.as_seconds()).min(1e6) * 1e9) as i64 + 20 * SECOND;
    let rate = app.tasks_per_hour * (1.0 - app.http_share) * cx.activity(now);
    let heartbeat = app.heartbeat.0;
    let host = cx.world.wechat.long;
    let port = [8080, 8080, 80, 443][rng.below(4) as usize];
    let target = cx.resolve(user, host, port, now, rng);
    let owner = Owner {
        app: "wechat",
        service: "long",
        protocol: if mmtls { "mmtls" } else { "w-tcp" },
        host: Some(host),
        says_name: false,
    };
    let script = Long {
        mmtls,
        until: now + life,
        rate,
        heartbeat,
        // A coefficient of variation far below the 0.2 that tells a periodic task.
        beat: now + heartbeat,
        next: 0,
        sequence: 0,
        queue: VecDeque::new(),
        stage: 0,
    };
    cx.tcp(user, &target, &owner, target.at + MILLI, Box::new(script), rng);
    now + life + rng.range(2, 120) as i64 * SECOND
}

/// One task by HTTP, and the pictures it shows.
pub(crate) fn task(cx: &mut Context<'_>, user: u32, mmtls: bool, now: i64, rng: &mut Rng) {
    let app = &cx.scenario.wechat;
    let (share, photos) = (app.http_share, app.photos_per_task);
    if rng.chance(share) {
        short(cx, user, mmtls, now, rng);
    }
    if rng.chance(MEDIA_ACCESS) {
        media_access(cx, user, now, rng);
    }
    let wanted = rng.exponential(photos);
    let count = wanted as u64 + u64::from(rng.chance(wanted.fract()));
    for _ in 0..count {
        resource(cx, user, now + rng.range(200, 9000) as i64 * MILLI, rng);
    }
}

/// Third-party media by way of the support servers: as much volume as Table IV has them use.
const MEDIA_ACCESS: f64 = 0.08;

/// A POST to the support servers, which relay what third parties serve.
fn media_access(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let path = format!("/cgi-bin/mmsupport-bin/readtemplate?t={:08x}", rng.next() as u32);
    let sizes = (rng.range(300, 500), rng.log_normal(60_000.0, 1.0).clamp(800.0, 4e6) as u64);
    let host = cx.world.wechat.support;
    post(cx, user, (host, "support"), &path, sizes, ("media access", false), now, rng);
}

/// A task on a short server.
fn short(cx: &mut Context<'_>, user: u32, mmtls: bool, now: i64, rng: &mut Rng) {
    let weight = |t: &Task| if t.http.is_some() { t.weight } else { 0.0 };
    let task = &TASKS[rng.weighted(TASKS.iter().map(weight))];
    let (mean_up, mean_down) = task.http.unwrap_or(task.long);
    let (up, down) = (around(mean_up, rng), around(mean_down, rng));
    let host = cx.world.wechat.short;
    let path = if mmtls {
        format!("/mmtls/{:08x}", rng.next() as u32)
    } else {
        format!("/cgi-bin/micromsg-bin/{}", task.path)
    };
    post(cx, user, (host, "short"), &path, (up, down), (task.name, mmtls), now, rng);
}

/// A POST on a connection of its own; `sizes` are whole requests and responses.
#[allow(clippy::too_many_arguments)] // the parts of a request, each used once
fn post(
    cx: &mut Context<'_>,
    user: u32,
    (host, service): (usize, &'static str),
    path: &str,
    (up, down): (u64, u64),
    (task, mmtls): (&'static str, bool),
    now: i64,
    rng: &mut Rng,
) {
    let target = cx.resolve(user, host, 80, now, rng);
    let name = cx.world.hosts[host].name.clone();
    // Table V's sizes are those of whole requests and responses.
    let head = |body: u64| {
        format!(
            "POST {path} HTTP/1.1\r\nAccept: */*\r\nCache-Control: no-cache\r\nConnection: close\r\n\
             Content-Length: {body}\r\nContent-Type: application/octet-stream\r\nHost: {name}\r\n\
             User-Agent: MicroMessenger Client\r\n\r\n"
        )
    };
    let answer = |body: u64| {
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n\
             Content-Length: {body}\r\n\r\n"
        )
    };
    let up = up.saturating_sub(head(up).len() as u64).max(64);
    let down = down.saturating_sub(answer(down).len() as u64).max(64);
    let mut steps: VecDeque<Step> = if mmtls {
        // A session resumed without a round trip: early-data handshake, then a data record.
        let mut request = head(up).into_bytes();
        let early = 0x60u64;
        request.extend([0x19, 0xf1, 0x04, 0, early as u8]);
        let mut response = answer(down).into_bytes();
        response.extend([0x16, 0xf1, 0x04, 0, 59]);
        let mark = Some(Mark::task(task));
        let think = rng.range(3, 60) as i64 * MILLI;
        let content = Content::opaque(request, up - 5, rng.next());
        let reply = Content::opaque(response, down - 5, rng.next());
        VecDeque::from([
            Step::Send { side: UP, delay: MILLI, content, mark },
            Step::Send { side: DOWN, delay: think, content: reply, mark },
        ])
    } else {
        web::exchange(head(up), up, answer(down), down, Some(task), rng).into()
    };
    steps.push_back(Step::Close { side: DOWN, delay: 100_000 });
    let owner =
        Owner { app: "wechat", service, protocol: "http", host: Some(host), says_name: true };
    cx.tcp(user, &target, &owner, target.at + MILLI, Box::new(steps), rng);
}

/// A GET to a resource server.
fn resource(cx: &mut Context<'_>, user: u32, now: i64, rng: &mut Rng) {
    let head_image = rng.chance(0.4);
    let hosts = cx.world.wechat;
    // Table IV: 452 MB of head images over 14,430 users, 8,134 MB of photos over 25,480.
    let (host, task, mean) = if head_image {
        (hosts.heads, "get header images", 4_000.0)
    } else {
        (hosts.photos, "get photos", 36_000.0)
    };
    let target = cx.resolve(user, host, 80, now, rng);
    let name = cx.world.hosts[host].name.clone();
    let token = rng.next();
    let path = if head_image {
        format!("/mmhead/ver_1/{token:016x}/132")
    } else {
        format!("/mmsns/{token:016x}/150")
    };
    let len = rng.log_normal(mean, 0.9).clamp(400.0, 4e6) as u64;
    let agent = "MicroMessenger Client";
    let more = "Referer: http://weixin.qq.com/?version=620823552&uin=0\r\n";
    let get = web::get(&name, &path, agent, more, "image/wxpc", len, Some(task), rng);
    let mut steps: VecDeque<Step> = get.into();
    steps.push_back(Step::Close { side: UP, delay: rng.range(1, 9) as i64 * SECOND });
    let owner = Owner {
        app: "wechat",
        service: if head_image { "header-images" } else { "moments" },
        protocol: "http",
        host: Some(host),
        says_name: true,
    };
    cx.tcp(user, &target, &owner, target.at + MILLI, Box::new(steps), rng);
}

/// Bytes of the server's encrypted handshake record.
const SEALED: u64 = 315;

/// The five bytes before an MMTLS record of `len` bytes.
fn record_head(content_type: u8, len: u64) -> [u8; mmtls::HEADER] {
    let [high, low] = mmtls::version::F104.to_be_bytes();
    let [.., first, second] = len.to_be_bytes();
    [content_type, high, low, first, second]
}

/// A record of `len` bytes with a hello; what fills it comes from `key`.
fn hello(kind: u8, len: usize, now: i64, key: u64) -> Vec<u8> {
    let client = kind == handshake_type::CLIENT_HELLO;
    let mut opaque = vec![0; len];
    fill(key, 0, &mut opaque);
    let (random, extensions) = opaque.split_at(32);
    // Length, type, version, suites, random, and the length of extensions; the client's clock.
    let fixed = 4 + 1 + 2 + if client { 1 + 4 + 4 } else { 2 } + 32 + 4;
    let mut fragment = Vec::new();
    Hello {
        kind,
        version: mmtls::version::F104,
        suites: if client { &[0xc0, 0x2b, 0, 0xa8] } else { &[0xc0, 0x2b] },
        random,
        time: client.then_some((now / SECOND) as u32),
        extensions: &extensions[..len - fixed],
    }
    .emit(&mut fragment);
    let mut out = Vec::new();
    let record = Record {
        content_type: content::HANDSHAKE,
        version: mmtls::version::F104,
        fragment: &fragment,
    };
    record.emit(&mut out);
    out
}

fn around(mean: f64, rng: &mut Rng) -> u64 {
    rng.log_normal(mean, if mean > 1000.0 { 0.7 } else { 0.25 }).clamp(24.0, 4e6) as u64
}

/// The long connection.
struct Long {
    mmtls: bool,
    until: i64,
    /// Tasks an hour.
    rate: f64,
    heartbeat: i64,
    /// When the next heartbeat is due.
    beat: i64,
    /// When the next task is due.
    next: i64,
    sequence: u32,
    queue: VecDeque<Step>,
    stage: u8,
}

impl Long {
    /// A message of `len` bytes in all.
    fn message(
        &self,
        task: &'static str,
        opcode: u32,
        sequence: u32,
        len: u64,
        rng: &mut Rng,
    ) -> (Content, Option<Mark>) {
        let len = len.max(HEADER as u64);
        if self.mmtls {
            // One data record; the task cannot be read.
            let inside = len.min(16_000);
            return (Content::opaque(record_head(content::DATA, inside), inside, rng.next()), None);
        }
        let mut head = Vec::with_capacity(HEADER);
        Header { len: len as u32, command: opcode, sequence }.emit(&mut head);
        let mark = Mark { task, opcode: Some(opcode), sequence: Some(sequence), lab: None };
        (Content::opaque(head, len - HEADER as u64, rng.next()), Some(mark))
    }

    /// Queues a request of `side` after `delay` and its answer.
    #[allow(clippy::too_many_arguments)] // the parts of a task, each used once
    fn ask(
        &mut self,
        task: &'static str,
        opcode: u32,
        sequence: u32,
        sizes: (u64, u64),
        delay: i64,
        rng: &mut Rng,
    ) {
        let (content, mark) = self.message(task, opcode, sequence, sizes.0, rng);
        self.queue.push_back(Step::Send { side: UP, delay, content, mark });
        let (content, mark) = self.message(task, opcode + RESPONSE, sequence, sizes.1, rng);
        // Most tasks complete within a tenth of a second (ChatDissect, VI-B).
        let delay = (rng.exponential(12.0).min(400.0) * MILLI as f64) as i64 + MILLI;
        self.queue.push_back(Step::Send { side: DOWN, delay, content, mark });
    }

    fn begin(&mut self, ready: i64, rng: &mut Rng) {
        if self.mmtls {
            let asked = hello(handshake_type::CLIENT_HELLO, 0xb9, ready, rng.next());
            let key = rng.next();
            let mut answer = hello(handshake_type::SERVER_HELLO, 0x96, ready, key);
            answer.extend(record_head(content::HANDSHAKE, SEALED));
            let answer = Content::opaque(answer, SEALED, key);
            for (side, content) in [(UP, Content::bytes(asked)), (DOWN, answer)] {
                self.queue.push_back(Step::Send { side, delay: 4 * MILLI, content, mark: None });
            }
        }
        self.ask(
            "connect to servers",
            IDENTIFY,
            sequence::IDENTIFICATION,
            (rng.range(220, 300), 48),
            3 * MILLI,
            rng,
        );
        self.sequence = 1;
        self.ask("query servers", SYNC, 1, (rng.range(300, 360), rng.range(200, 900)), MILLI, rng);
        self.next = ready + wait(self.rate, rng);
    }
}

impl Script for Long {
    fn step(&mut self, ready: [i64; 2], rng: &mut Rng) -> Step {
        if let Some(step) = self.queue.pop_front() {
            if self.queue.is_empty() {
                self.queue = VecDeque::new(); // the next step may be minutes away
            }
            return step;
        }
        if self.stage == 0 {
            self.stage = 1;
            self.begin(ready[UP], rng);
        } else if self.until <= self.next.min(self.beat) {
            let delay = self.until - ready[UP];
            // Radio changes end most connections without a word; some end well.
            return match rng.below(3) {
                0 => Step::Close { side: UP, delay },
                1 => Step::Reset { side: UP, delay },
                _ => Step::Vanish,
            };
        } else if self.beat <= self.next {
            let delay = self.beat - ready[UP];
            self.beat += self.heartbeat;
            let sizes = (HEADER as u64, HEADER as u64);
            self.ask("heartbeat", HEARTBEAT, sequence::NO_OPERATION, sizes, delay, rng);
        } else {
            let delay = (self.next - ready[UP]).max(0);
            let task = &TASKS[rng.weighted(TASKS.iter().map(|t| t.weight))];
            self.sequence += 1;
            let sizes = (around(task.long.0, rng), around(task.long.1, rng));
            if task.opcode == SYNC {
                // The server says that there is something, then the client fetches it.
                let (content, mark) =
                    self.message("server push news", PUSH, sequence::PUSH, 20, rng);
                self.queue.push_back(Step::Send { side: DOWN, delay, content, mark });
                self.ask(task.name, task.opcode, self.sequence, sizes, 5 * MILLI, rng);
            } else {
                self.ask(task.name, task.opcode, self.sequence, sizes, delay, rng);
            }
            self.next += wait(self.rate, rng);
        }
        self.queue.pop_front().unwrap_or(Step::Vanish)
    }
}
