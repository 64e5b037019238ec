//! The users' applications: what wakes when, and which flows it starts.

mod call;
pub(crate) mod dns;
mod load;
pub(crate) mod quic;
pub(crate) mod tls;
pub(crate) mod web;
mod wechat;
mod whatsapp;

use crate::context::Context;
use crate::lab::Opening;
use crate::rng::Rng;
use crate::scenario::Scenario;

/// An application of one user.
pub(crate) struct Agent {
    user: u32,
    kind: Kind,
    rng: Rng,
}

enum Kind {
    Web,
    WhatsApp(whatsapp::State),
    WeChatLong { mmtls: bool },
    WeChatShort { mmtls: bool },
    Call,
    Load { left: u64, period: i64 },
    Lab(Option<Box<Opening>>),
}

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const MILLI: i64 = 1_000_000;

/// Every agent and when it first wakes.
pub(crate) fn cast(scenario: &Scenario, begin: i64, rng: &mut Rng) -> Vec<(i64, Agent)> {
    let mut cast = Vec::new();
    for user in 0..scenario.users {
        let mut own = rng.fork();
        let mut add = |at: i64, kind: Kind, rng: Rng| cast.push((at, Agent { user, kind, rng }));
        if own.chance(scenario.web.share) && scenario.web.visits_per_hour > 0.0 {
            let at = begin + wait(scenario.web.visits_per_hour, &mut own);
            add(at, Kind::Web, own.fork());
        }
        if own.chance(scenario.whatsapp.share) && scenario.whatsapp.sessions_per_hour > 0.0 {
            let at = begin + wait(scenario.whatsapp.sessions_per_hour, &mut own);
            add(at, Kind::WhatsApp(whatsapp::State::default()), own.fork());
        }
        if own.chance(scenario.wechat.share) {
            let mmtls = own.chance(scenario.wechat.mmtls);
            let at = begin + own.below(30 * SECOND as u64) as i64;
            add(at, Kind::WeChatLong { mmtls }, own.fork());
            if scenario.wechat.tasks_per_hour > 0.0 {
                let at = begin + wait(scenario.wechat.tasks_per_hour, &mut own);
                add(at, Kind::WeChatShort { mmtls }, own.fork());
            }
        }
        if own.chance(scenario.calls.share) && scenario.calls.per_hour > 0.0 {
            let at = begin + wait(scenario.calls.per_hour, &mut own);
            add(at, Kind::Call, own.fork());
        }
    }
    if scenario.load.flows > 0 {
        let left = scenario.load.flows;
        let period = (scenario.duration.0 / left as i64).max(1);
        let kind = Kind::Load { left, period };
        cast.push((begin + scenario.warm_up.0, Agent { user: 0, kind, rng: rng.fork() }));
    }
    cast
}

/// Nanoseconds to the next event of a Poisson process.
pub(crate) fn wait(per_hour: f64, rng: &mut Rng) -> i64 {
    (rng.exponential(3600.0 / per_hour.max(1e-9)).min(1e7) * 1e9) as i64 + 1
}

impl Agent {
    /// One that opens a lab's flow.
    pub(crate) fn lab(user: u32, opening: Box<Opening>, rng: Rng) -> Self {
        Agent { user, kind: Kind::Lab(Some(opening)), rng }
    }

    /// Does what is due; returns when to wake next.
    pub(crate) fn wake(&mut self, now: i64, cx: &mut Context<'_>) -> Option<i64> {
        let rng = &mut self.rng;
        match &mut self.kind {
            Kind::Web => {
                if rng.chance(cx.activity(now)) {
                    web::visit(cx, self.user, now, rng);
                }
                Some(now + wait(cx.scenario.web.visits_per_hour, rng))
            }
            Kind::WhatsApp(state) => Some(whatsapp::wake(cx, self.user, state, now, rng)),
            Kind::WeChatLong { mmtls } => Some(wechat::connect(cx, self.user, *mmtls, now, rng)),
            Kind::WeChatShort { mmtls } => {
                if rng.chance(cx.activity(now)) {
                    wechat::task(cx, self.user, *mmtls, now, rng);
                }
                Some(now + wait(cx.scenario.wechat.tasks_per_hour, rng))
            }
            Kind::Call => {
                if rng.chance(cx.activity(now)) {
                    call::call(cx, self.user, now, rng);
                }
                Some(now + wait(cx.scenario.calls.per_hour, rng))
            }
            Kind::Load { left, period } => {
                load::flow(cx, self.user, now, rng);
                self.user = (self.user + 1) % cx.scenario.users;
                *left -= 1;
                (*left > 0).then_some(now + *period)
            }
            Kind::Lab(opening) => {
                if let Some(opening) = opening.take() {
                    opening.open(now, cx, rng);
                }
                None
            }
        }
    }
}
