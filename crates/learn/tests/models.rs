//! What every model promises, asked of every model.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use ottoscope_learn::{Classifier, Control, Dataset, Fit, LearnError, MODELS, Rows};

const WIDTH: usize = 56;

/// Noise in which a class shows by a few bytes, each of them wrong now and then.
fn samples(len: usize, classes: usize) -> Dataset {
    let mut state = 1u64;
    let mut draw = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..len {
        let class = draw() % classes;
        let from = bytes.len();
        bytes.extend((0..WIDTH).map(|_| (draw() % 64) as u8));
        for at in 0..12 {
            if draw() % 20 > 0 {
                bytes[from + 10 + at] = (80 + 50 * ((class + at) % classes)) as u8;
            }
        }
        labels.push(class as u16);
    }
    let names = (0..classes).map(|class| format!("class {class}")).collect();
    Dataset::new(bytes, WIDTH, labels, names).unwrap()
}

fn split(data: &Dataset) -> (Vec<u32>, Vec<u32>) {
    (0..data.len() as u32).partition(|row| row % 4 > 0)
}

fn how() -> Fit {
    Fit { epochs: 12, batch: 32, threads: 2, rate: 0.003, ..Fit::default() }
}

fn trained(name: &str, data: &Dataset, how: &Fit) -> Box<dyn Classifier> {
    let (train, test) = split(data);
    let (train, test) = (Rows { data, rows: &train }, Rows { data, rows: &test });
    let mut model = (ottoscope_learn::model::named(name).unwrap().make)();
    model.fit(train, test, how, &mut |_| Control::Continue).unwrap();
    model
}

fn everything(model: &dyn Classifier, data: &Dataset, threads: usize) -> Vec<f32> {
    let rows: Vec<u32> = (0..data.len() as u32).collect();
    model.predict(Rows { data, rows: &rows }, threads)
}

#[test]
fn each_learns_what_can_be_learned() {
    let data = samples(600, 3);
    let (_, test) = split(&data);
    for made in MODELS {
        let model = trained(made.name, &data, &how());
        assert_eq!((model.name(), model.classes()), (made.name, 3));
        let chances = model.predict(Rows { data: &data, rows: &test }, 1);
        let mut right = 0;
        for (chances, &row) in chances.chunks(3).zip(&test) {
            assert!((chances.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{}", made.name);
            let best = (0..3).max_by(|&a, &b| chances[a].total_cmp(&chances[b])).unwrap();
            right += usize::from(best == usize::from(data.labels[row as usize]));
        }
        assert!(right * 100 > test.len() * 90, "{}: {right} of {}", made.name, test.len());
        assert!(model.size() > 0);
    }
}

#[test]
fn threads_change_nothing() {
    let data = samples(300, 5);
    for made in MODELS {
        let how = Fit { epochs: 3, batch: 100, ..how() };
        let one = trained(made.name, &data, &Fit { threads: 1, ..how.clone() });
        let three = trained(made.name, &data, &Fit { threads: 3, ..how });
        assert_eq!(everything(&*one, &data, 1), everything(&*three, &data, 3), "{}", made.name);
    }
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut data = samples(200, 4);
    // Features too: signed sizes.
    data.features = (0..data.len() * 3).map(|at| (at * 37 % 1500) as f32 - 700.0).collect();
    for made in MODELS {
        let path = folder.path().join(made.name);
        let model = trained(made.name, &data, &Fit { epochs: 2, ..how() });
        model.save(&path).unwrap();
        let mut loaded = (made.make)();
        loaded.load(&path).unwrap();
        assert_eq!(loaded.classes(), 4);
        assert_eq!(everything(&*model, &data, 1), everything(&*loaded, &data, 1), "{}", made.name);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something lies beside it");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn broken_files_are_refused_and_never_walked_out_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let data = samples(60, 3);
    let mut state = 7usize;
    for made in MODELS.iter().filter(|made| !made.name.starts_with("cnn")) {
        trained(made.name, &data, &Fit { epochs: 1, ..how() }).save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        let other = MODELS.iter().find(|other| other.name != made.name).unwrap();
        let error = (other.make)().load(&path).unwrap_err();
        assert!(matches!(error, LearnError::File { .. }), "{error}");
        for cut in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!((made.make)().load(&path).is_err(), "{} cut to {cut}", made.name);
        }
        for _ in 0..150 {
            let mut broken = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
                // The header and all sorts of places behind it.
                let at = if state.is_multiple_of(2) { state / 2 % 900 } else { state / 2 };
                let at = at % broken.len();
                broken[at] = (state >> 8) as u8;
            }
            fs::write(&path, &broken).unwrap();
            let mut model = (made.make)();
            if model.load(&path).is_ok() {
                let _ = everything(&*model, &data, 1);
            }
        }
    }
}

#[test]
fn what_cannot_be_learned_is_said() {
    let mut data = samples(64, 3);
    for made in MODELS {
        let fit = |data: &Dataset, how: &Fit| {
            let rows: Vec<u32> = (0..data.len() as u32).collect();
            let none = Rows { data, rows: &[] };
            (made.make)().fit(Rows { data, rows: &rows }, none, how, &mut |_| Control::Continue)
        };
        let small = Fit { memory: Some(2000), ..how() };
        assert!(matches!(fit(&data, &small), Err(LearnError::Memory { .. })), "{}", made.name);
        if ["lstm", "cnn1d", "cnn2d"].contains(&made.name) {
            let wild = Fit { rate: 1e30, ..how() };
            assert!(matches!(fit(&data, &wild), Err(LearnError::Diverged { .. })), "{}", made.name);
        }
        let labels = std::mem::replace(&mut data.labels, vec![1; 64]);
        assert!(matches!(fit(&data, &how()), Err(LearnError::Classes { found: 1 })));
        data.labels = labels;
        let empty = Dataset { labels: Vec::new(), bytes: Vec::new(), ..data.clone() };
        assert!(matches!(fit(&empty, &how()), Err(LearnError::Classes { found: 0 })));
        let untrained = (made.make)();
        assert!(everything(&*untrained, &data, 1).is_empty(), "{}", made.name);
        let error = untrained.save(Path::new("nowhere")).unwrap_err();
        assert!(matches!(error, LearnError::Untrained { .. }), "{error}");
    }
}

#[test]
fn other_widths_are_cut_or_filled() {
    let data = samples(200, 3);
    let rows: Vec<u32> = (0..200).collect();
    let wider: Vec<u8> = data.bytes.chunks(WIDTH).flat_map(|b| [b, &[9; 4][..]].concat()).collect();
    let wider = Dataset { bytes: wider, width: WIDTH + 4, ..data.clone() };
    let short: Vec<u8> = data.bytes.chunks(WIDTH).flat_map(|b| b[..40].to_vec()).collect();
    let short = Dataset { bytes: short, width: 40, ..data.clone() };
    for made in MODELS {
        let model = trained(made.name, &data, &Fit { epochs: 1, ..how() });
        let same = model.predict(Rows { data: &wider, rows: &rows }, 1);
        assert_eq!(everything(&*model, &data, 1), same, "{}", made.name);
        assert_eq!(model.predict(Rows { data: &short, rows: &rows }, 1).len(), 600);
    }
}

#[test]
fn training_goes_on_where_it_was_broken_off() {
    let folder = tempfile::tempdir().unwrap();
    let data = samples(200, 3);
    let (train, test) = split(&data);
    let (train, test) = (Rows { data: &data, rows: &train }, Rows { data: &data, rows: &test });
    for name in ["lstm", "cnn2d"] {
        let checkpoint = Some(folder.path().join(name));
        let how = Fit { epochs: 5, checkpoint: None, ..how() };
        let whole = trained(name, &data, &how);
        let how = Fit { checkpoint, ..how };
        let make = ottoscope_learn::model::named(name).unwrap().make;
        let mut broken = make();
        let epochs = broken
            .fit(train, test, &how, &mut |epoch| match epoch.number {
                2 => Control::Stop,
                _ => Control::Continue,
            })
            .unwrap();
        assert_eq!(epochs.len(), 2);
        let mut seen = Vec::new();
        let mut went_on = make();
        let epochs = went_on
            .fit(train, test, &how, &mut |epoch| {
                seen.push(epoch.number);
                Control::Continue
            })
            .unwrap();
        assert_eq!((epochs.len(), seen), (5, vec![3, 4, 5]), "{name}");
        assert_eq!(everything(&*whole, &data, 1), everything(&*went_on, &data, 1), "{name}");
        // Nothing is left to do, and other ways to train are not mixed with this one.
        let again = make().fit(train, test, &how, &mut |_| panic!("a pass")).unwrap();
        assert_eq!(again, epochs);
        let other = Fit { seed: 2, ..how };
        let error = make().fit(train, test, &other, &mut |_| Control::Continue).unwrap_err();
        assert!(matches!(error, LearnError::File { .. }), "{error}");
    }
}

#[test]
fn balance_gives_small_classes_their_share() {
    let data = samples(800, 2);
    // One of 40 is of class 1, and what tells it apart is often missing.
    let mut kept = 0;
    let rows: Vec<u32> = (0..800)
        .filter(|&row| {
            kept += u32::from(data.labels[row as usize] == 1);
            data.labels[row as usize] == 0 || kept % 20 == 0
        })
        .collect();
    let chance = |name: &str, balance: bool| {
        let mut model = (ottoscope_learn::model::named(name).unwrap().make)();
        let rows = Rows { data: &data, rows: &rows };
        let none = Rows { data: &data, rows: &[] };
        let how = Fit { balance, epochs: 2, ..how() };
        model.fit(rows, none, &how, &mut |_| Control::Continue).unwrap();
        everything(&*model, &data, 1).chunks(2).map(|chances| chances[1]).sum::<f32>()
    };
    for name in ["lstm", "logistic", "boosted", "ours"] {
        let (with, without) = (chance(name, true), chance(name, false));
        assert!(with > 1.2 * without, "{name}: {with} {without}");
    }
}

#[test]
fn a_balanced_forest_draws_as_much_of_every_class() {
    // One of 40 is of class 1, and nothing tells it apart: the answer is the classes' share.
    let bytes = (0..800u32).flat_map(|row| [(row / 40 % 2) as u8, (row / 80 % 2) as u8]).collect();
    let labels = (0..800).map(|row| u16::from(row % 40 == 1)).collect();
    let data = Dataset::new(bytes, 2, labels, vec!["a".into(), "b".into()]).unwrap();
    let chance = |balance: bool| {
        let model = trained("forest", &data, &Fit { balance, ..how() });
        everything(&*model, &data, 1).chunks(2).map(|chances| chances[1]).sum::<f32>() / 800.0
    };
    let (with, without) = (chance(true), chance(false));
    assert!((0.4..0.6).contains(&with) && without < 0.05, "{with} {without}");
}
