//! Evaluates models on the ISCX VPN-nonVPN images of Wang et al. 2017 (IDX, six classes each with
//! and without VPN), in the paper's way or the honest one.
//!
//! `iscx FOLDER REPRESENTATION TASK PROTOCOL [key=value]...`, where FOLDER holds
//! `6class/NovpnSessionAllLayers` and so on, TASK is `vpn`, `six`, `sixvpn`, `twelve` or `voip`,
//! PROTOCOL `paper` or `honest`, and keys are `models`, `seeds`, `epochs`, `most`, `threads`,
//! `validation`, `rung`, `out` (a file for the whole report as JSON).
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use ottoscope_learn::evaluate::{Bench, Make};
use ottoscope_learn::forge::Forge;
use ottoscope_learn::masks::Masks;
use ottoscope_learn::report::{Extra, Report, evaluate};
use ottoscope_learn::rivals::Makers;
use ottoscope_learn::split::{Plan, Rung};
use ottoscope_learn::{Control, Epoch, Fit, LearnError, Samples, idx, model};

const APPS: [&str; 6] = ["Chat", "Email", "File", "P2p", "Streaming", "Voip"];

fn half(folder: &Path, vpn: bool, representation: &str) -> Result<Samples, LearnError> {
    let name = format!("{}{representation}", if vpn { "Vpn" } else { "Novpn" });
    let folder = folder.join("6class").join(name);
    let classes = APPS.map(|app| if vpn { format!("Vpn_{app}") } else { app.to_owned() });
    let images = folder.join("train-images-idx3-ubyte.gz");
    let labels = folder.join("train-labels-idx1-ubyte.gz");
    Samples::of_images(idx::read(&images, &labels, &classes)?)
}

fn task(folder: &Path, representation: &str, task: &str) -> Result<Samples, LearnError> {
    match task {
        "six" => return half(folder, false, representation),
        "sixvpn" => return half(folder, true, representation),
        _ => {}
    }
    let all = half(folder, false, representation)?.joined(half(folder, true, representation)?)?;
    match task {
        "vpn" => {
            let classes = vec!["non-VPN".to_owned(), "VPN".to_owned()];
            all.relabelled(classes, |class| Some(u16::from(class >= 6)))
        }
        "voip" => {
            let classes = vec!["Voip".to_owned(), "Vpn_Voip".to_owned()];
            let place = |class| [5, 11].iter().position(|voip| *voip == class);
            all.relabelled(classes, |class| place(class).map(|at| at as u16))
        }
        _ => Ok(all),
    }
}

fn print(report: &Report) {
    println!("left {} bytes, {:?}", report.left, report.cleaned);
    for summary in report.models.iter().chain(&report.rivals) {
        let run = &summary.runs[0];
        println!(
            "| {} | {} | {} | {} | {} | {:.4} | {:.1} s |",
            summary.model,
            summary.accuracy,
            summary.f1[1],
            summary.f1[2],
            run.scores.auroc.map_or_else(String::new, |auroc| format!("{auroc:.4}")),
            run.scores.calibration_error,
            run.cost.fit_seconds,
        );
    }
    for probe in &report.leaks {
        println!("  leak | {} | {:.4} | {:.4} |", probe.name, probe.accuracy, probe.macro_f1);
    }
    for forged in &report.forged {
        println!("  forged | {} | {:.4} | {:.4} |", forged.model, forged.before, forged.after);
    }
    for state in &report.rungs {
        println!("  rung {:?} {}", state.rung, state.refused.as_deref().unwrap_or("allowed"));
    }
    report.warnings.iter().for_each(|warning| println!("  ! {warning}"));
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, representation, name, protocol, rest @ ..] = &arguments[..] else {
        return Err("iscx FOLDER REPRESENTATION TASK PROTOCOL [key=value]...".into());
    };
    let keys: HashMap<&str, &str> = rest.iter().filter_map(|key| key.split_once('=')).collect();
    let number = |key: &str, default: u64| -> Result<u64, Box<dyn std::error::Error>> {
        Ok(keys.get(key).map_or(Ok(default), |value| value.parse())?)
    };
    let raw = task(Path::new(folder), representation, name)?;
    let paper = protocol == "paper";
    let layers = representation.ends_with("AllLayers");
    let masks = if paper { Masks::none() } else { Masks::honest() };
    let rung = match keys.get("rung") {
        Some(rung) => rung.parse()?,
        None if paper || !layers => Rung::Random,
        None => Rung::Hosts,
    };
    let validation = keys.get("validation").map_or(Ok(0.1), |value| value.parse())?;
    let most = keys.get("most").map(|most| most.parse()).transpose()?;
    let plan = Plan { rung, validation, test: 0.2, seed: 1, most, distinct: !paper };
    let fit = Fit {
        epochs: number("epochs", 10)? as u32,
        patience: number("patience", 3)? as u32,
        threads: number("threads", 1)? as usize,
        ..Fit::default()
    };
    let seeds: Vec<u64> = (1..=number("seeds", 5)?).collect();
    let names = keys.get("models").copied().unwrap_or("forest");
    let chosen: Vec<_> = names
        .split(',')
        .map(|name| model::named(name).ok_or(format!("no model {name}")))
        .collect::<Result<_, _>>()?;
    let models: Vec<(&str, Make<'_>)> =
        chosen.iter().map(|model| (model.name, &model.make as Make<'_>)).collect();
    let maker = |name: &str| {
        let found = model::named(name);
        found.map(|model| &model.make as Make<'_>).ok_or(format!("no model {name}"))
    };
    let makers =
        Makers { forest: maker("forest")?, boosted: maker("boosted")?, nearest: maker("nearest")? };
    let start = Instant::now();
    let clock = || start.elapsed().as_secs_f64();
    let mut watch = |model: &str, run: usize, epoch: &Epoch| {
        eprintln!("{model} {run} {epoch:?}");
        Control::Continue
    };
    let mut bench =
        Bench { fit: &fit, plan: &plan, seeds: &seeds, clock: &clock, watch: &mut watch };
    let extra = Extra { held: &[], forge: layers.then(|| Forge::all(7)) };
    println!("## {representation} {name} {protocol} {plan:?} {:?}", fit.epochs);
    let report = evaluate(&raw, &masks, &models, &makers, &extra, &mut bench)?;
    print(&report);
    if let Some(out) = keys.get("out") {
        std::fs::write(out, serde_json::to_string(&report)?)?;
    }
    Ok(())
}
