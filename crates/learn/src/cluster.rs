//! Groups samples by likeness without knowing their classes (k-means++, Arthur and
//! Vassilvitskii 2007; the number of groups by silhouette, Rousseeuw 1987).

use serde::{Deserialize, Serialize};

use crate::Dataset;
use crate::engine::random::Random;

/// Groups looked for, at most.
const MOST: usize = 12;
/// Passes of k-means, and starts of which the best counts.
const PASSES: usize = 50;
const STARTS: u64 = 4;
/// Points whose silhouettes are computed; it takes the square of them.
const LOOKED_AT: usize = 400;
/// Bytes of a sample that count.
const BYTES: usize = 64;

/// Samples that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// The name under which it is offered as a class.
    pub name: String,
    /// Its samples.
    pub rows: Vec<u32>,
    /// The one nearest to its middle, to look at.
    pub example: u32,
}

/// Samples as points: features, each scaled to a mean of 0 and a deviation of 1 (gaps and sizes
/// by their logarithm, sign kept), and the first bytes as shares of 255.
pub fn points(data: &Dataset, rows: &[u32]) -> Vec<Vec<f32>> {
    let width = data.feature_width();
    let mut points: Vec<Vec<f32>> = rows
        .iter()
        .map(|row| {
            let row = *row as usize;
            let features = data.features[row * width..(row + 1) * width].iter();
            features.map(|value| value.signum() * value.abs().ln_1p()).collect()
        })
        .collect();
    for feature in 0..width {
        let count = points.len().max(1) as f32;
        let mean = points.iter().map(|point| point[feature]).sum::<f32>() / count;
        let squares: f32 = points.iter().map(|point| (point[feature] - mean).powi(2)).sum();
        let deviation = (squares / count).sqrt();
        for point in &mut points {
            point[feature] =
                if deviation > 0.0 { (point[feature] - mean) / deviation } else { 0.0 };
        }
    }
    for (point, row) in points.iter_mut().zip(rows) {
        let sample = data.sample(*row as usize);
        point.extend(sample.iter().take(BYTES).map(|byte| f32::from(*byte) / 255.0));
    }
    points
}

/// Groups points; as many groups as separate best, one where none do. Gives each point's group
/// and the mean silhouette (-1 to 1: above 0.5 groups are distinct, below 0.25 they are not).
pub fn group(points: &[Vec<f32>], seed: u64) -> (Vec<usize>, f64) {
    let mut best = (vec![0; points.len()], 0.0);
    for k in 2..=MOST.min(points.len().saturating_sub(1)) {
        let groups = k_means(points, k, seed);
        let quality = silhouette(points, &groups, seed);
        if quality > best.1 + 0.01 {
            best = (groups, quality);
        }
    }
    best
}

/// Groups `rows` of `data` and names each group, the largest first.
pub fn clusters(data: &Dataset, rows: &[u32], seed: u64) -> (Vec<Cluster>, f64) {
    let points = points(data, rows);
    let (groups, quality) = group(&points, seed);
    let count = groups.iter().max().map_or(0, |last| last + 1);
    let mut found: Vec<(Vec<u32>, u32)> = (0..count)
        .filter_map(|group| {
            let members: Vec<usize> =
                (0..points.len()).filter(|point| groups[*point] == group).collect();
            let middle = middle(&points, &members)?;
            let nearest = members.iter().copied().min_by(|a, b| {
                distance(&points[*a], &middle).total_cmp(&distance(&points[*b], &middle))
            })?;
            Some((members.iter().map(|point| rows[*point]).collect(), rows[nearest]))
        })
        .collect();
    found.sort_by_key(|(rows, _)| std::cmp::Reverse(rows.len()));
    let named = (1..).zip(found).map(|(number, (rows, example))| Cluster {
        name: format!("unknown-{number}"),
        rows,
        example,
    });
    (named.collect(), quality)
}

/// Share of samples that are of their cluster's most frequent true class: what naming every
/// cluster after a look at it would get right. `None` of no samples.
pub fn purity(clusters: &[Cluster], data: &Dataset) -> Option<f64> {
    let mut right = 0;
    let mut sum = 0;
    for cluster in clusters {
        let mut counts = vec![0; data.classes.len()];
        cluster.rows.iter().for_each(|row| counts[usize::from(data.labels[*row as usize])] += 1);
        right += counts.iter().max().copied().unwrap_or(0);
        sum += cluster.rows.len();
    }
    (sum > 0).then(|| f64::from(right) / sum as f64)
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

fn middle(points: &[Vec<f32>], members: &[usize]) -> Option<Vec<f32>> {
    let mut sum = points.get(*members.first()?)?.clone();
    for member in &members[1..] {
        sum.iter_mut().zip(&points[*member]).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|sum| *sum /= members.len() as f32);
    Some(sum)
}

fn nearest(point: &[f32], middles: &[Vec<f32>]) -> (usize, f64) {
    let all = middles.iter().map(|middle| distance(point, middle)).enumerate();
    all.min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

fn k_means(points: &[Vec<f32>], k: usize, seed: u64) -> Vec<usize> {
    let starts = (0..STARTS).map(|start| {
        let mut random = Random::part(seed, start << 8 | k as u64);
        let mut middles = vec![points[random.below(points.len())].clone()];
        while middles.len() < k {
            let far: Vec<f64> = points.iter().map(|point| nearest(point, &middles).1).collect();
            let mut at = far.iter().sum::<f64>() * f64::from(random.unit());
            let next = far.iter().position(|far| {
                at -= far;
                at <= 0.0 && *far > 0.0
            });
            middles.push(points[next.unwrap_or(0)].clone());
        }
        let mut groups = vec![0; points.len()];
        for _ in 0..PASSES {
            let next: Vec<usize> = points.iter().map(|point| nearest(point, &middles).0).collect();
            let done = next == groups;
            groups = next;
            for (group, place) in middles.iter_mut().enumerate() {
                let members: Vec<usize> =
                    (0..points.len()).filter(|point| groups[*point] == group).collect();
                if let Some(middle) = middle(points, &members) {
                    *place = middle;
                }
            }
            if done {
                break;
            }
        }
        let spread: f64 =
            points.iter().zip(&groups).map(|(p, group)| distance(p, &middles[*group])).sum();
        (spread, groups)
    });
    starts.min_by(|a, b| a.0.total_cmp(&b.0)).map_or_else(Vec::new, |(_, groups)| groups)
}

/// Mean silhouette of some of the points.
fn silhouette(points: &[Vec<f32>], groups: &[usize], seed: u64) -> f64 {
    let mut looked: Vec<usize> = (0..points.len()).collect();
    Random::part(seed, 0x51).shuffle(&mut looked);
    looked.truncate(LOOKED_AT);
    let count = groups.iter().max().map_or(0, |last| last + 1);
    let mut sum = 0.0;
    for at in &looked {
        let mut far = vec![(0.0, 0); count];
        for other in looked.iter().filter(|other| *other != at) {
            let far = &mut far[groups[*other]];
            far.0 += distance(&points[*at], &points[*other]).sqrt();
            far.1 += 1;
        }
        let mean =
            |group: usize| (far[group].1 > 0).then(|| far[group].0 / f64::from(far[group].1));
        let Some(own) = mean(groups[*at]) else { continue };
        let others = (0..count).filter(|group| *group != groups[*at]).filter_map(mean);
        let Some(next) = others.min_by(f64::total_cmp) else { continue };
        if own.max(next) > 0.0 {
            sum += (next - own) / own.max(next);
        }
    }
    sum / looked.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_are_there_are_found() {
        let mut random = Random::new(4);
        let points: Vec<Vec<f32>> = (0..90)
            .map(|at| {
                let middle = [[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]][at % 3];
                vec![middle[0] + random.normal(), middle[1] + random.normal()]
            })
            .collect();
        let (groups, quality) = group(&points, 1);
        assert_eq!(groups.iter().max(), Some(&2));
        assert!(quality > 0.6, "{quality}");
        assert!((0..90).all(|at| groups[at] == groups[at % 3]));
        assert_eq!((groups.clone(), quality), group(&points, 1));
    }

    #[test]
    fn few_or_equal_points_are_one_group() {
        assert_eq!(group(&[], 1).0, Vec::<usize>::new());
        assert_eq!(group(&vec![vec![1.0, 2.0]; 20], 1).0, [0; 20]);
        let data = Dataset::new(vec![1, 2], 1, vec![0, 0], vec!["a".to_owned()]).unwrap();
        let (found, _) = clusters(&data, &[0, 1], 1);
        assert_eq!((found.len(), found[0].rows.len(), &*found[0].name), (1, 2, "unknown-1"));
        assert_eq!(purity(&found, &data), Some(1.0));
    }
}
