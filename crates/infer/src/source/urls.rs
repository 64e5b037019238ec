//! Which known URL a string in code is.

use hashbrown::HashMap;

/// Shortest last part of a path that stands for the whole.
const SHORTEST_PART: usize = 4;

/// Known URLs by the last part of their paths.
#[derive(Debug, Default)]
pub(super) struct Urls {
    paths: Vec<Box<str>>,
    by_part: HashMap<Box<str>, Vec<u32>, foldhash::fast::RandomState>,
}

/// A known URL found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) url: u32,
    /// The string holds the whole path, not only its end.
    pub(super) whole: bool,
}

/// The path of a URL, or of what may be one, without slashes around it.
fn path(url: &str) -> &str {
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url,
    };
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    rest[..end].trim_matches('/')
}

fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, last)| last)
}

/// Whether `part` is all of `path` or its last parts.
fn ends(path: &str, part: &str) -> bool {
    path.strip_suffix(part).is_some_and(|front| front.is_empty() || front.ends_with('/'))
}

impl Urls {
    pub(super) fn new(urls: &[String]) -> Self {
        let mut known = Urls::default();
        for (index, url) in urls.iter().enumerate() {
            let path = path(url);
            known.paths.push(path.into());
            if !path.is_empty() {
                known.by_part.entry(last(path).into()).or_default().push(index as u32);
            }
        }
        known
    }

    /// The URL that a string names. A last part alone counts only where one URL ends in it.
    pub(super) fn find(&self, text: &str) -> Option<Hit> {
        let text = path(text.trim());
        let part = last(text);
        let candidates = self.by_part.get(part)?;
        let whole = candidates.iter().find(|&&url| ends(text, &self.paths[url as usize]));
        if let Some(&url) = whole {
            return Some(Hit { url, whole: true });
        }
        let mut fits = candidates.iter().filter(|&&url| ends(&self.paths[url as usize], text));
        match (fits.next(), fits.next()) {
            (Some(&url), None) if part.len() >= SHORTEST_PART => Some(Hit { url, whole: false }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_name_urls() {
        let urls = ["/cgi-bin/micromsg-bin/uploadmsgimg", "/a/get", "/b/get", "http://h/x/y?q=1"];
        let urls = Urls::new(&urls.map(str::to_owned));
        let hit = |url, whole| Some(Hit { url, whole });
        assert_eq!(urls.find("/cgi-bin/micromsg-bin/uploadmsgimg"), hit(0, true));
        assert_eq!(
            urls.find("https://h.example/cgi-bin/micromsg-bin/uploadmsgimg?a=b"),
            hit(0, true)
        );
        assert_eq!(urls.find("micromsg-bin/uploadmsgimg"), hit(0, false));
        assert_eq!(urls.find("uploadmsgimg"), hit(0, false));
        assert_eq!(urls.find("/other/uploadmsgimg"), None);
        assert_eq!(urls.find("reuploadmsgimg"), None);
        assert_eq!(urls.find("get"), None);
        assert_eq!(urls.find("a/get"), hit(1, true));
        assert_eq!(urls.find("x/y"), hit(3, true));
        assert_eq!(urls.find("y"), None);
        assert_eq!(urls.find(""), None);
    }
}
