//! The steps of inference one after another, as far as they are asked for.

use std::sync::Arc;

use ottoscope_catalog::Catalog;
use ottoscope_catalog::schema::File;
use ottoscope_flow::Transport;
use ottoscope_flow::capture::Options;
use ottoscope_infer::messages::Found;
use ottoscope_infer::segment::Segmenter;
use ottoscope_infer::walk::{Given, NoFormat, Rules, infer};
use ottoscope_infer::{Params, Samples, segment};
use ottoscope_store::Study;
use serde_json::json;

use super::args::{StepArgs, Types};
use super::opcodes::Code;
use super::{clean, formats, keywords, opcodes, propose};
use crate::account::{Step, count};
use crate::hint::{hinted, stored};
use crate::infer::gather::Source;
use crate::infer::lines;
use crate::infer::select::Verdict;
use crate::infer::survey::Survey;
use crate::input;
use crate::report::results::replace;

/// What the steps found so far.
pub(super) struct Walk<'a> {
    args: &'a StepArgs,
    /// The last step that is asked for, or `all`.
    upto: &'a str,
    /// What a proposal is to be called, where one is made.
    name: Option<&'a str>,
    params: Params,
    method: &'static dyn Segmenter,
    rules: Rules,
    pub(super) steps: Vec<Step>,
    /// Whether there is anything to go on with.
    pub(super) structured: bool,
    pub(super) proposal: Option<File>,
    /// Lines for `--boundaries`.
    boundaries: Vec<u8>,
}

impl<'a> Walk<'a> {
    /// Goes through the steps. With a name for it, a proposal is made.
    pub(super) fn through(
        args: &'a StepArgs,
        upto: &'a str,
        name: Option<&'a str>,
    ) -> anyhow::Result<Self> {
        let study = match &args.traffic.study {
            Some(study) => Some(Study::open(study).map_err(stored)?),
            None => None,
        };
        let params = super::params(study.as_ref(), &args.set)?;
        let method = segment::method(&args.method).ok_or_else(|| {
            let known: Vec<&str> = segment::METHODS.iter().map(|m| m.name()).collect();
            hinted(
                format!("no method is named `{}`", args.method),
                format!("there are: {}", known.join(", ")),
            )
        })?;
        let rules = match args.types {
            Types::Ours => Rules::Typed,
            Types::Paper => Rules::Paper,
        };
        let mut walk = Walk {
            args,
            upto,
            name,
            params,
            method,
            rules,
            steps: Vec::new(),
            structured: false,
            proposal: None,
            boundaries: Vec::new(),
        };
        let files = &args.traffic.catalog;
        let catalog = match &study {
            Some(study) => input::study_catalog(study, files)?,
            None => input::catalog(files)?,
        };
        if let Some(name) = name {
            walk.proposal = Some(propose::empty(&catalog, propose::split_name(name)?.0));
        }
        match &args.traffic.messages {
            Some(path) => walk.messages(path)?,
            None => walk.captures(catalog)?,
        }
        if let Some(path) = &args.boundaries {
            replace(path, &walk.boundaries)?;
        }
        Ok(walk)
    }

    /// From captures.
    fn captures(&mut self, catalog: Catalog) -> anyhow::Result<()> {
        let traffic = &self.args.traffic;
        let lab = super::lab(traffic)?;
        let rules = super::rules(traffic)?;
        if let Some(app) = &traffic.app {
            input::known_app(&catalog, app)?;
        }
        let options = Options { stop: input::stop_flag(), ..Options::default() };
        let source = Source { captures: &traffic.captures, catalog: Arc::new(catalog), options };
        let survey = source.survey(&rules, lab.as_ref())?;
        self.steps.push(clean::step(&survey, rules.chooses_servers()));
        if matches!(self.upto, "all" | "keywords") {
            self.steps.push(keywords::step(&survey, &self.params));
        }
        if matches!(self.upto, "clean" | "keywords") {
            self.structured = true;
            return Ok(());
        }
        let transports = transports(&survey);
        if transports.is_empty() {
            let mut step = Step::new(self.last(), "Nothing to infer from");
            step.say("no flow is left whose protocol is not known; `infer clean` tells why");
            self.steps.push(step);
        }
        let several = transports.len() > 1;
        for transport in transports {
            let gathered = source.packets(&survey, transport, traffic.packets)?;
            if gathered.left_out > 0 {
                self.steps[0].say(format!(
                    "{} packets beyond --packets {} are not looked at",
                    count(gathered.left_out),
                    traffic.packets
                ));
            }
            let mut failed = None;
            let mut again = |found: &Found| {
                let read = source.messages(&gathered.samples, found, traffic.packets);
                read.unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                })
            };
            let given = Given::PacketsAgain(&mut again);
            self.formats(&gathered.samples, given, transport, &survey, &|index| {
                if several { json!(format!("{transport} {index}")) } else { json!(index) }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    /// From messages that another tool wrote.
    fn messages(&mut self, path: &std::path::Path) -> anyhow::Result<()> {
        if matches!(self.upto, "clean" | "keywords") {
            return Err(hinted(
                format!("`infer {}` looks at flows, which --messages does not have", self.upto),
                "give captures",
            ));
        }
        let given = lines::read(path)?;
        let flows = given.samples.flows();
        let transport = flows.first().map_or(Transport::Udp, |flow| flow.transport);
        let survey = Survey::default();
        self.formats(&given.samples, Given::Messages, transport, &survey, &|index| {
            given.ids.get(index).cloned().unwrap_or_default()
        })
    }

    /// Where fields begin, what they hold, which opcodes there are.
    fn formats(
        &mut self,
        samples: &Samples,
        given: Given<'_>,
        transport: Transport,
        survey: &Survey,
        name: &dyn Fn(usize) -> serde_json::Value,
    ) -> anyhow::Result<()> {
        let found = match infer(samples, given, &self.params, self.method, self.rules) {
            Ok(found) => found,
            Err(error) => {
                self.nothing(transport, error);
                return Ok(());
            }
        };
        self.structured |= found.formats.iter().any(|format| format.says_something());
        self.steps.push(formats::segment(samples, &found, transport, self.method, &self.params));
        self.steps.push(formats::messages(samples, &found, transport));
        self.steps.push(formats::fields(&found, transport));
        if self.args.boundaries.is_some() {
            lines::write(&mut self.boundaries, &found, self.upto != "segment", name)?;
        }
        let code = Code { sources: &self.args.source, urls: &self.args.url };
        let (step, tasks) = opcodes::step(&found, survey, &code, &self.params)?;
        self.steps.push(step);
        if let (Some(file), Some(name)) = (&mut self.proposal, self.name) {
            let mut step = Step::new("propose", "What goes into the catalogue");
            let id = propose::split_name(name)?.1;
            let from = format!("inferred from {}", self.args.traffic.names());
            propose::proposal(file, &mut step, &found, &tasks, id, &from);
            self.steps.push(step);
        }
        Ok(())
    }

    fn nothing(&mut self, transport: Transport, error: NoFormat) {
        let mut step = Step::new(self.last(), format!("{transport}: nothing inferred"));
        step.say(error.to_string());
        self.steps.push(step);
    }

    /// The step that is shown in the end.
    fn last(&self) -> &'static str {
        let steps = ["segment", "messages", "fields", "opcodes"];
        steps.into_iter().find(|id| *id == self.upto).unwrap_or("fields")
    }
}

/// Over what there are flows to be inferred, those with more payload first.
fn transports(survey: &Survey) -> Vec<Transport> {
    let payload = |transport| {
        let kept = survey.kept.iter().filter(|k| k.verdict == Verdict::Unknown);
        kept.filter(|k| k.transport == transport).map(|k| k.payload).sum::<u64>()
    };
    let mut found: Vec<(u64, Transport)> =
        [Transport::Tcp, Transport::Udp].map(|t| (payload(t), t)).into();
    found.retain(|(payload, _)| *payload > 0);
    found.sort_by_key(|(payload, _)| std::cmp::Reverse(*payload));
    found.into_iter().map(|(_, transport)| transport).collect()
}
