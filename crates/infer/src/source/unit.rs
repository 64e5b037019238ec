//! Classes as rows of URLs and numbers, all that ranking needs of them.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::urls::Hit;

/// Farthest, in tokens or instructions that count, that a number is kept from a URL.
pub(super) const REACH: u32 = 512;
/// Numbers that are all that a method or constant says, kept of each class.
const MOST_ALONE: usize = 4096;
/// Items of one class before what follows is left out.
const MOST_OPEN: usize = 1 << 20;
/// Items kept in all.
const MOST_KEPT: usize = 1 << 21;
/// Numbers and constants that are remembered of the rest.
const MOST_NUMBERS: usize = 1 << 20;
/// Longest piece of a line that is kept, characters.
const MOST_SNIPPET: usize = 160;

/// What stands somewhere in code.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A known URL.
    Url(Hit),
    /// An integer that is not negative.
    Number(u64),
    /// A name that may stand for one of both: `X`, `Cmd.X`.
    Name(Box<str>),
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spot {
    /// Line from 1; in dex files the offset in the method, in code units.
    pub(super) line: u32,
    /// Column from 1, in characters; 0 where there is none.
    pub(super) column: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) what: What,
    pub(super) spot: Spot,
    /// Which one of the class's tokens it is.
    pub(super) at: u32,
    pub(super) statement: u32,
    pub(super) member: u32,
    /// A number that is all that its method returns or its constant holds.
    pub(super) alone: bool,
    /// It stands elsewhere and is used here.
    pub(super) used: bool,
    /// The name that it was written as.
    pub(super) constant: Option<Box<str>>,
}

/// A class, or a file without classes.
#[derive(Debug, Default)]
pub(super) struct Unit {
    pub(super) file: Arc<str>,
    pub(super) name: Box<str>,
    /// Names of methods; empty where they were not read.
    pub(super) members: HashMap<u32, Box<str>>,
    pub(super) items: Vec<Item>,
    /// Text of the lines of its items.
    pub(super) lines: HashMap<u32, Box<str>>,
    tokens: u32,
    statement: u32,
    member: u32,
    has_url: bool,
}

impl Unit {
    pub(super) fn new(file: &Arc<str>, name: &str) -> Self {
        Unit { file: Arc::clone(file), name: name.into(), ..Unit::default() }
    }

    /// Something that is no item, but takes room.
    pub(super) fn token(&mut self) {
        self.tokens = self.tokens.saturating_add(1);
    }

    /// Starts another statement and gives its number.
    pub(super) fn statement(&mut self) -> u32 {
        self.statement = self.statement.saturating_add(1);
        self.statement
    }

    /// Starts another method or field.
    pub(super) fn member(&mut self) -> u32 {
        self.member = self.member.saturating_add(1);
        self.statement();
        self.member
    }

    pub(super) fn current_member(&self) -> u32 {
        self.member
    }

    /// Adds something to the statement under way.
    pub(super) fn push(&mut self, what: What, spot: Spot, alone: bool) {
        let (statement, member) = (self.statement, self.member);
        let (used, constant) = (false, None);
        self.add(Item { what, spot, at: 0, statement, member, alone, used, constant });
    }

    /// Adds something to an earlier statement.
    pub(super) fn push_in(&mut self, what: What, spot: Spot, statement: u32) {
        let (member, constant) = (self.member, None);
        let (alone, used) = (false, false);
        self.add(Item { what, spot, at: 0, statement, member, alone, used, constant });
    }

    /// Adds something where it is used, beside where it stands.
    pub(super) fn push_used(&mut self, what: What, spot: Spot, alone: bool) {
        let (statement, member) = (self.statement, self.member);
        let (used, constant) = (true, None);
        self.add(Item { what, spot, at: 0, statement, member, alone, used, constant });
    }

    fn add(&mut self, mut item: Item) {
        self.token();
        if self.items.len() < MOST_OPEN {
            self.has_url |= matches!(item.what, What::Url(_));
            item.at = self.tokens;
            self.items.push(item);
        }
    }
}

/// All classes that were read.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    pub(super) kept: Vec<Unit>,
    /// Values of constants by `Class.NAME`.
    pub(super) constants: HashMap<Box<str>, What, foldhash::fast::RandomState>,
    /// In how many classes a number stands.
    pub(super) frequency: HashMap<u64, u32, foldhash::fast::RandomState>,
    units: usize,
    items: usize,
    full: bool,
}

impl Corpus {
    pub(super) fn units(&self) -> usize {
        self.units
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Remembers what a constant stands for; nothing where classes of one name disagree.
    pub(super) fn constant(&mut self, class: &str, name: &str, what: What) {
        let room = self.constants.len() < MOST_NUMBERS;
        let key = format!("{class}.{name}");
        match self.constants.get_mut(key.as_str()) {
            Some(earlier) if *earlier != what => *earlier = What::Name("".into()),
            None if room => {
                self.constants.insert(key.into(), what);
            }
            _ => {}
        }
    }

    /// Takes a class that was read. What is far from URLs is only counted. `text` is the file,
    /// for its lines.
    pub(super) fn close(&mut self, mut unit: Unit, text: Option<&str>) {
        self.units += 1;
        let mut numbers = HashSet::<u64, foldhash::fast::RandomState>::default();
        for item in &unit.items {
            if let What::Number(number) = item.what
                && numbers.insert(number)
            {
                let room = self.frequency.len() < MOST_NUMBERS;
                match self.frequency.get_mut(&number) {
                    Some(count) => *count += 1,
                    None if room => {
                        self.frequency.insert(number, 1);
                    }
                    None => {}
                }
            }
        }
        if !unit.has_url {
            return;
        }
        prune(&mut unit.items);
        if self.items + unit.items.len() > MOST_KEPT {
            self.full = true;
            return;
        }
        self.items += unit.items.len();
        if let Some(text) = text {
            keep_lines(&mut unit, text);
        }
        unit.items.shrink_to_fit();
        self.kept.push(unit);
    }
}

/// Drops what is far from every URL and does not stand alone.
fn prune(items: &mut Vec<Item>) {
    let urls: Vec<u32> =
        items.iter().filter(|i| matches!(i.what, What::Url(_))).map(|i| i.at).collect();
    let mut alone = 0;
    items.retain(|item| {
        let next = urls.partition_point(|&at| at < item.at);
        let near = |index: Option<usize>| {
            index.and_then(|i| urls.get(i)).is_some_and(|at| at.abs_diff(item.at) <= REACH)
        };
        if near(Some(next)) || near(next.checked_sub(1)) {
            return true;
        }
        alone += usize::from(item.alone);
        item.alone && alone <= MOST_ALONE
    });
}

fn keep_lines(unit: &mut Unit, text: &str) {
    let mut wanted: Vec<(u32, u32)> =
        unit.items.iter().map(|item| (item.spot.line, item.spot.column)).collect();
    wanted.sort_unstable();
    wanted.dedup_by_key(|(line, _)| *line);
    let mut lines = (1_u32..).zip(text.lines());
    for (line, column) in wanted {
        let Some((_, text)) = lines.find(|(number, _)| *number == line) else { break };
        // A long line (a bundled script) is kept around its first item.
        let skip = (column as usize).saturating_sub(MOST_SNIPPET / 2);
        let cut: String = if text.len() <= MOST_SNIPPET {
            text.trim().to_owned()
        } else {
            text.chars().skip(skip).take(MOST_SNIPPET).collect()
        };
        unit.lines.insert(line, cut.trim().into());
    }
}
